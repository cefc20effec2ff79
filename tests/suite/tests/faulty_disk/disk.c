/* A disk that hangs or fails, for one process: put before libc's own functions with LD_PRELOAD. It looks into the folder
 * FAULTY_DISK at every call:
 *   hold        fsync and fdatasync do not return while this file is there
 *   fail-sync   fsync and fdatasync fail with EIO
 *   fail-write  pwrite and pwritev fail with EIO
 *   fail-read   pread fails with EIO
 * A file `held` appears once somebody waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char *named(const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", getenv("FAULTY_DISK"), name);
    return path;
}

static int there(const char *name) {
    char path[512];
    int before = errno, found = access(named(name, path, sizeof path), F_OK) == 0;
    errno = before;
    return found;
}

static int synced(int fd, long call) {
    while (there("hold")) {
        char path[512];
        int held = open(named("held", path, sizeof path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (held >= 0) close(held);
        usleep(20 * 1000);
    }
    if (there("fail-sync")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    if (there("fail-write")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, from, size, at);
}
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { return pwrite64(fd, from, size, at); }

ssize_t pread64(int fd, void *to, size_t size, off64_t at) {
    if (there("fail-read")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, to, size, at);
}
ssize_t pread(int fd, void *to, size_t size, off_t at) { return pread64(fd, to, size, at); }
