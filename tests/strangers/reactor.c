// Like `bare.c`, with a libc that wants the host.
#include <stdio.h>
#include <stdlib.h>

__attribute__((export_name("cabi_realloc"))) void *again(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  (void)align;
  return realloc(old, size);
}

struct text {
  char *at;
  size_t length;
};
static struct text answer;

__attribute__((export_name("run"))) struct text *run(char *who, size_t length) {
  printf("%d bytes\n", (int)length);
  answer = (struct text){who, length};
  return &answer;
}

__attribute__((export_name("cabi_post_run"))) void after(struct text *said) { free(said->at); }
