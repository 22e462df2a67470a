#include "zones/book.h"

#include <stdlib.h>

#include "gslb/base/memory.h"

#define CACHE_LINE 64u

struct book *book_new(const struct config *config, int image_fd, uint32_t worker_count, struct errbuf *err) {
  struct image image;
  if (image_map(image_fd, &image, err) != STATUS_OK)
    return NULL;
  if (image_head(&image)->service_count != config->service_count) {
    image_unmap(&image);
    errbuf_set(err, STATUS_INVALID, "name image: belongs to another configuration");
    return NULL;
  }
  struct book *book = mem_alloc(sizeof *book);
  book->image = image;
  book->config = config;
  book->worker_count = worker_count;
  book->tables = mem_array(config->service_count, sizeof(struct table *));
  book->turns = mem_array(worker_count, sizeof(uint32_t *));
  for (uint32_t i = 0; i < worker_count; i++) /* a cache line more, so that workers share none */
    book->turns[i] = mem_array(config->service_count + CACHE_LINE / sizeof(uint32_t), sizeof(uint32_t));
  return book;
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
  image_unmap(&book->image);
  free(book);
}
