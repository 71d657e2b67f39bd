/* Makes the k-th I/O call below one folder fail, once or from then on. Loaded with LD_PRELOAD.
 * A failing write is a torn one: half of the bytes reach the file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char folder[4096];
static size_t folder_length;
static long failing;   /* number of the call that fails, 0: none, only count */
static int armed, code, sticky, reads;
static long calls;
static long long failed_ns;
static char failed_name[32], failed_path[256];

void fault_arm(const char *path, long k, int error, int stays, int reading) {
    folder_length = strlen(path);
    memcpy(folder, path, folder_length + 1);
    failing = k, code = error, sticky = stays, reads = reading;
    calls = 0, failed_ns = 0, failed_name[0] = failed_path[0] = 0;
    armed = 1;
}
void fault_disarm(void) { armed = 0; }
long fault_calls(void) { return calls; }
long long fault_failed_ns(void) { return failed_ns; }
const char *fault_name(void) { return failed_name; }
const char *fault_path(void) { return failed_path; }

static int below(const char *path) {
    return strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || !path[folder_length]);
}

static int below_descriptor(int descriptor, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, room - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int fails(const char *name, const char *path) {
    long number = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (!failing || !(number == failing || (sticky && number > failing))) return 0;
    if (!failed_ns) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        failed_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
        snprintf(failed_name, sizeof failed_name, "%s", name);
        snprintf(failed_path, sizeof failed_path, "%s", path + folder_length);
    }
    errno = code;
    return 1;
}

static int descriptor_fails(const char *name, int descriptor) {
    char path[4096];
    return armed && below_descriptor(descriptor, path, sizeof path) && fails(name, path);
}

static int path_fails(const char *name, const char *path) {
    return armed && path && below(path) && fails(name, path);
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t n) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (descriptor_fails("write", fd)) { int e = errno; real(fd, bytes, n / 2); errno = e; return -1; }
    return real(fd, bytes, n);
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    if (descriptor_fails("pwrite", fd)) { int e = errno; real(fd, bytes, n / 2, at); errno = e; return -1; }
    return real(fd, bytes, n, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    if (descriptor_fails("pwrite", fd)) { int e = errno; real(fd, bytes, n / 2, at); errno = e; return -1; }
    return real(fd, bytes, n, at);
}
ssize_t read(int fd, void *bytes, size_t n) {
    REAL(ssize_t, read, int, void *, size_t);
    return reads && descriptor_fails("read", fd) ? -1 : real(fd, bytes, n);
}
ssize_t pread(int fd, void *bytes, size_t n, off_t at) {
    REAL(ssize_t, pread, int, void *, size_t, off_t);
    return reads && descriptor_fails("pread", fd) ? -1 : real(fd, bytes, n, at);
}
ssize_t pread64(int fd, void *bytes, size_t n, off64_t at) {
    REAL(ssize_t, pread64, int, void *, size_t, off64_t);
    return reads && descriptor_fails("pread", fd) ? -1 : real(fd, bytes, n, at);
}
int fsync(int fd) {
    REAL(int, fsync, int);
    return descriptor_fails("fsync", fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return descriptor_fails("fdatasync", fd) ? -1 : real(fd);
}
int ftruncate(int fd, off_t length) {
    REAL(int, ftruncate, int, off_t);
    return descriptor_fails("ftruncate", fd) ? -1 : real(fd, length);
}
int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    return descriptor_fails("ftruncate", fd) ? -1 : real(fd, length);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return path_fails("rename", to) ? -1 : real(from, to);
}
int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    return path_fails("link", to) ? -1 : real(from, to);
}
int unlink(const char *path) {
    REAL(int, unlink, const char *);
    return path_fails("unlink", path) ? -1 : real(path);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    return path_fails("mkdir", path) ? -1 : real(path, mode);
}
#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int writes = (flags & O_ACCMODE) != O_RDONLY; \
        return (writes || reads) && path_fails("open", path) ? -1 : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
