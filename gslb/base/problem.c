#include "gslb/base/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define PROBLEMS_MOST 1000u

void problem_add(struct problems *problems, const char *file, int line, int column, const char *format, ...) {
  if (problems->count >= PROBLEMS_MOST)
    return;
  problems->items = mem_grow(problems->items, &problems->capacity, problems->count + 1, sizeof *problems->items);
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  bool is_last = problems->count + 1 == PROBLEMS_MOST;
  problems->items[problems->count++] = (struct problem){
      .file = mem_strdup(file),
      .line = line,
      .column = column,
      .text = mem_strdup(is_last ? "too many problems; the rest is not listed" : text),
  };
}

static size_t first_mention(const struct problems *problems, const char *file) {
  size_t index = 0;
  while (strcmp(problems->items[index].file, file) != 0)
    index++;
  return index;
}

static bool comes_before(const struct problems *problems, const struct problem *a, const struct problem *b) {
  size_t file_a = first_mention(problems, a->file), file_b = first_mention(problems, b->file);
  if (file_a != file_b)
    return file_a < file_b;
  if (a->line != b->line)
    return a->line < b->line;
  return a->column < b->column;
}

void problems_sort(struct problems *problems) {
  /* insertion keeps equal ones in order, and the list is short and nearly sorted */
  for (size_t i = 1; i < problems->count; i++)
    for (size_t j = i; j > 0 && comes_before(problems, &problems->items[j], &problems->items[j - 1]); j--) {
      struct problem swapped = problems->items[j];
      problems->items[j] = problems->items[j - 1];
      problems->items[j - 1] = swapped;
    }
}

char *problems_format(const struct problems *problems) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    abort();
  for (size_t i = 0; i < problems->count; i++) {
    const struct problem *problem = &problems->items[i];
    fputs(problem->file, out);
    if (problem->line)
      fprintf(out, ":%d", problem->line);
    if (problem->line && problem->column)
      fprintf(out, ":%d", problem->column);
    fprintf(out, ": %s\n", problem->text);
  }
  fclose(out);
  return text;
}

void problems_release(struct problems *problems) {
  for (size_t i = 0; i < problems->count; i++) {
    free(problems->items[i].file);
    free(problems->items[i].text);
  }
  free(problems->items);
  *problems = (struct problems){0};
}
