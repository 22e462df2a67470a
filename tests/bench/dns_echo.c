/* tests/bench/dns_echo.c
 * What the kernel's sockets allow: turns each datagram around as it is, but for the bit that says that it is a
 * response.
 *
 *   dns_echo ADDRESS PORT
 *
 * One thread with one blocking socket, as many datagrams in one system call as a worker of gslbd takes. Ends by a
 * signal. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 64u
#define DATAGRAM_MOST 4096u
#define HEADER_SIZE 12u
#define FLAGS_AT 2u
#define FLAG_RESPONSE 0x80u
#define BUFFER_BYTES (8 << 20) /* as the supervisor of gslbd asks for */

struct datagram {
  struct sockaddr_in from;
  unsigned char bytes[DATAGRAM_MOST];
};

static struct datagram datagrams[BATCH];

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "dns_echo: %s: %s\n", what, errno ? strerror(errno) : "bad argument");
  exit(2);
}

static int open_socket(const char *host, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || address.sin_port == 0)
    fail("address");
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER_BYTES;
  if (fd < 0)
    fail("socket");
  /* without the right to force it, what the system allows has to do */
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (bind(fd, (struct sockaddr *)&address, sizeof address))
    fail("bind");
  return fd;
}

/* Sends the first count messages; one that the kernel does not take is left out. */
static void send_all(int fd, struct mmsghdr *messages, unsigned count) {
  for (unsigned sent = 0; sent < count;) {
    int done = sendmmsg(fd, messages + sent, count - sent, 0);
    sent += done > 0 ? (unsigned)done : 1;
  }
}

int main(int argc, char **argv) {
  if (argc != 3)
    fail("dns_echo ADDRESS PORT");
  int fd = open_socket(argv[1], argv[2]);
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH] = {0};
  for (unsigned i = 0; i < BATCH; i++) {
    messages[i].msg_hdr = (struct msghdr){.msg_name = &datagrams[i].from, .msg_iov = &parts[i], .msg_iovlen = 1};
    parts[i].iov_base = datagrams[i].bytes;
  }
  for (;;) {
    for (unsigned i = 0; i < BATCH; i++) {
      messages[i].msg_hdr.msg_namelen = sizeof datagrams[i].from;
      parts[i].iov_len = DATAGRAM_MOST;
    }
    int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (count < 0 && errno != EINTR && errno != ECONNREFUSED)
      fail("recvmmsg");
    for (int i = 0; i < count; i++) {
      parts[i].iov_len = messages[i].msg_len;
      if (messages[i].msg_len >= HEADER_SIZE)
        datagrams[i].bytes[FLAGS_AT] |= FLAG_RESPONSE;
    }
    if (count > 0)
      send_all(fd, messages, (unsigned)count);
  }
}
