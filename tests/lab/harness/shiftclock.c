/* Preload that gives a process a wall clock of its own: CLOCK_REALTIME plus the int64 of nanoseconds in the file
 * named by SHIFTCLOCK_FILE, read at every call, so that a test steps or drifts it while the process runs.
 * Kernel receive stamps are shifted alike. All other clocks stay true.
 * Not covered: timerfd's cancel-on-set does not fire; waits until an absolute wall time wait by the kernel's
 * clock; symbols looked up in a named library (dlopen("libc.so.6")) instead of the global scope escape. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))real(#name, &name##_address))

static const volatile int64_t *shift;
static void *clock_gettime_address, *gettimeofday_address, *recvmsg_address, *recvmmsg_address;
static void *adjtimex_address, *clock_adjtime_address;

static void *real(const char *name, void **address)
{
    if (!*address && !(*address = dlsym(RTLD_NEXT, name)))
        abort();
    return *address;
}

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("SHIFTCLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        abort(); /* a test that thinks its clock shifted must not run on a true one */
    shift = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (shift == MAP_FAILED)
        abort();
}

/* Adds the shift to seconds and their fraction, of which `per_second` make a second. */
static void add(int64_t *seconds, int64_t *fraction, int64_t per_second)
{
    int64_t by = (shift ? *shift : 0) / (1000000000 / per_second);
    int64_t total = *fraction + by % per_second;
    *seconds += by / per_second;
    if (total < 0)
        total += per_second, *seconds -= 1;
    else if (total >= per_second)
        total -= per_second, *seconds += 1;
    *fraction = total;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = REAL(clock_gettime)(clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
        add(&now->tv_sec, &now->tv_nsec, 1000000000);
    return status;
}

EXPORT int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int status = REAL(gettimeofday)(now, zone);
    if (status == 0)
        add(&now->tv_sec, &now->tv_usec, 1000000);
    return status;
}

EXPORT time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

EXPORT int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

static void add_to_timex(struct timex *state)
{
    add(&state->time.tv_sec, &state->time.tv_usec, state->status & STA_NANO ? 1000000000 : 1000000);
}

EXPORT int adjtimex(struct timex *state)
{
    int status = REAL(adjtimex)(state);
    if (status >= 0)
        add_to_timex(state);
    return status;
}

EXPORT int clock_adjtime(clockid_t clock, struct timex *state)
{
    int status = REAL(clock_adjtime)(clock, state);
    if (status >= 0 && clock == CLOCK_REALTIME)
        add_to_timex(state);
    return status;
}

/* The first stamp of each kind; SO_TIMESTAMPING's third is of the network card's own clock and stays.
 * Numbers of asm-generic/socket.h: old and new (64-bit time) layouts are the same on 64-bit machines. */
static void shift_stamps(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        int64_t stamp[2];
        int64_t per_second = 1000000000;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_len < CMSG_LEN(sizeof stamp))
            continue;
        switch (c->cmsg_type) {
        case 29: /* SCM_TIMESTAMP, old */
        case 63: /* and new: a timeval */
            per_second = 1000000;
            break;
        case 35: /* SCM_TIMESTAMPNS, old */
        case 64: /* and new */
        case 37: /* SCM_TIMESTAMPING, old */
        case 65: /* and new */
            break;
        default:
            continue;
        }
        memcpy(stamp, CMSG_DATA(c), sizeof stamp);
        if (stamp[0] == 0 && stamp[1] == 0)
            continue;
        add(&stamp[0], &stamp[1], per_second);
        memcpy(CMSG_DATA(c), stamp, sizeof stamp);
    }
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t size = REAL(recvmsg)(fd, message, flags);
    if (size >= 0)
        shift_stamps(message);
    return size;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned int most, int flags, struct timespec *timeout)
{
    int count = REAL(recvmmsg)(fd, messages, most, flags, timeout);
    for (int i = 0; i < count; i++)
        shift_stamps(&messages[i].msg_hdr);
    return count;
}
