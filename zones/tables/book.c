#include "zones/tables/book.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gslb/base/memory.h"

#define CACHE_LINE 64u
#define TEXT_MOST 255u

/* What a reply tells of the server; at most what fits a TXT string. */
static void set_identity(struct book *book, const struct config_server *server) {
  book->nsid = server->nsid;
  book->nsid_size = server->nsid ? strnlen(server->nsid, TEXT_MOST) : 0;
  book->version = server->version;
  book->version_size = server->version ? strnlen(server->version, TEXT_MOST) : 0;
  int64_t keepalive = server->tcp_idle_ms / 100;
  book->keepalive = keepalive > UINT16_MAX ? UINT16_MAX : (uint16_t)keepalive;
}

struct book *book_new(const struct config *config, int image_fd, uint32_t worker_count, struct errbuf *err) {
  struct tsig_keys *keys = tsig_keys_new(config->keys, config->key_count, err);
  if (!keys)
    return NULL;
  struct image image;
  if (image_map(image_fd, &image, err) != STATUS_OK) {
    tsig_keys_free(keys);
    return NULL;
  }
  if (image_head(&image)->service_count != config->service_count) {
    image_unmap(&image);
    tsig_keys_free(keys);
    errbuf_set(err, STATUS_INVALID, "name image: belongs to another configuration");
    return NULL;
  }
  struct book *book = mem_alloc(sizeof *book);
  book->image = image;
  struct stat info = {0};
  if (fstat(image_fd, &info) == 0) {
    book->image_device = info.st_dev;
    book->image_inode = info.st_ino;
  }
  book->keys = keys;
  book->config = config;
  book->worker_count = worker_count;
  book->topology = topology_new(config);
  set_identity(book, &config->server);
  book->tables = mem_array(config->service_count, sizeof(struct table *));
  book->turns = mem_array(worker_count, sizeof(uint32_t *));
  for (uint32_t i = 0; i < worker_count; i++) /* a cache line more, so that workers share none */
    book->turns[i] = mem_array(config->service_count + CACHE_LINE / sizeof(uint32_t), sizeof(uint32_t));
  return book;
}

bool book_has_same_image(const struct book *a, const struct book *b) {
  return a && b && a->image_inode && a->image_inode == b->image_inode && a->image_device == b->image_device;
}

void book_free(struct book *book) {
  if (!book)
    return;
  for (size_t i = 0; i < book->config->service_count; i++)
    table_free(book->tables[i]);
  for (uint32_t i = 0; i < book->worker_count; i++)
    free(book->turns[i]);
  free(book->turns);
  free(book->tables);
  topology_free(book->topology);
  tsig_keys_free(book->keys);
  image_unmap(&book->image);
  free(book);
}
