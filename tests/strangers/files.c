// Touches what a component may ask of its host: files, the environment, time, randomness.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  unsigned char dice[8];
  struct timespec now;
  if (getentropy(dice, sizeof dice) || clock_gettime(CLOCK_MONOTONIC, &now)) return 1;
  const char *home = getenv("HOME");
  FILE *file = fopen(home ? home : "notes", "a");
  if (!file) return 1;
  fprintf(file, "%d %ld\n", dice[0], now.tv_nsec);
  return fclose(file);
}
