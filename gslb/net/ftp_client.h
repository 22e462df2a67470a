/* gslb/net/ftp_client.h
 * FTP (RFC 959) to a given address, many at once, on a loop, by libcurl: log in, retrieve one file in passive mode. No
 * names are looked up; data connections go to the same address, whatever the server says. Belongs to the loop's
 * thread. */
#ifndef GSLB_NET_FTP_CLIENT_H
#define GSLB_NET_FTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"

struct ftp_client;
struct ftp_transfer;

struct ftp_request {
  struct addr address;  /* with the port */
  const char *user;     /* NULL: anonymous */
  const char *password; /* NULL: none, or what anonymous users say */
  const char *path;     /* of the file, as in a URL: "/pub/state.txt" counts from the directory of the login */
  int64_t timeout_ms;   /* for all of it, above 0 */
  size_t body_most;     /* bytes of the file to keep; the transfer ends when they are full */
};

struct ftp_reply {
  enum net_outcome outcome; /* NET_ANSWERED also for a refused login or file: status tells */
  const char *detail;       /* more about an outcome other than NET_ANSWERED, for people; "" for none */
  int status;               /* with NET_ANSWERED: 226 when the file came, or the reply code that refused: 530, 550 */
  const char *body;         /* with status 226; NUL-terminated after body_length bytes */
  size_t body_length;
  uint32_t duration_us; /* from the start to the end of the file */
};

typedef void ftp_done(void *context, const struct ftp_reply *reply);
/* reply and all in it are borrowed until the callback returns. */

struct ftp_client *ftp_client_new(struct loop *loop);
/* Borrows the loop. Never NULL. */
void ftp_client_free(struct ftp_client *client);
/* Cancels what still runs. NULL is fine. Before loop_free. */

struct ftp_transfer *ftp_client_start(struct ftp_client *client, const struct ftp_request *request, ftp_done *done,
                                      void *context);
/* Copies the request; done is called once, from the loop and never within this call, unless cancelled. The handle is
 * borrowed until done is called or it is cancelled. */
void ftp_client_cancel(struct ftp_transfer *transfer);
/* done is not called any more. */

#endif
