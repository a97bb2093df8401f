/*
 * file: a small file, such as those of /proc and of control groups, read at
 * once into memory that is there already.
 */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>

/* What the file begins with, up to size - 1 bytes, with a NUL behind it;
 * returns how many.  0, and "" in text: it is empty or cannot be read. */
size_t file_read(const char *path, char *text, size_t size);

#endif
