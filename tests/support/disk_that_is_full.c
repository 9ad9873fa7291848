/* While the file that FULL_DISK names is there, no file of a table and no temporary one can grow; all else is as it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(int file, off_t end) {
    const char *sign = getenv("FULL_DISK");
    struct stat facts;
    char link[64], path[4096];
    if (!sign || access(sign, F_OK) || fstat(file, &facts) || !S_ISREG(facts.st_mode) || end <= facts.st_size) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/base/") != NULL;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t start) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    if (is_full(file, start + (off_t)count)) return errno = ENOSPC, -1;
    return real(file, bytes, count, start);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t start) {
    static ssize_t (*real)(int, const struct iovec *, int, off_t);
    if (!real) real = (ssize_t (*)(int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev");
    off_t end = start;
    for (int part = 0; part < count; part++) end += (off_t)parts[part].iov_len;
    if (is_full(file, end)) return errno = ENOSPC, -1;
    return real(file, parts, count, start);
}

int posix_fallocate(int file, off_t start, off_t length) {
    static int (*real)(int, off_t, off_t);
    if (!real) real = (int (*)(int, off_t, off_t))dlsym(RTLD_NEXT, "posix_fallocate");
    return is_full(file, start + length) ? ENOSPC : real(file, start, length);
}
