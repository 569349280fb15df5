/* Preload that gives a process clocks of its own: the kernel's, shifted as the file says that SHIFTCLOCK_FILE names
 * (shiftclock.py writes it, under a sequence lock), looked at in every call, so that a test steps, slews or stops
 * them while the process runs. Kernel stamps of packets are shifted as W was when they were taken. Waits until an
 * absolute time of a shifted clock end when that clock gets there.
 * Not covered: timerfd (also its cancel-on-set), pthread_mutex_clocklock; symbols looked up in a named library
 * (dlopen("libc.so.6")) instead of the global scope; system calls made without the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
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
enum { NS = 1000000000, TRIES = 100, CLOSE_NS = 2000 };

/* From the kernel's RAW = `from_raw_ns` on, each clock is ahead of the kernel's by so much, and gains: all of them
 * `drift_ppb` (the oscillator), all but RAW `slew_ppb` (adjtimex). shiftclock.py has the same layout. */
struct stretch {
    int64_t from_raw_ns, wall_ns, mono_ns, boot_ns, raw_ns, drift_ppb, slew_ppb;
};

struct shifts {
    uint64_t generation; /* odd while shiftclock.py writes */
    struct stretch now, before;
};

static const volatile struct shifts *shifts;
static void *clock_gettime_address, *clock_nanosleep_address, *recvmsg_address, *recvmmsg_address;
static void *adjtimex_address, *clock_adjtime_address, *sem_clockwait_address;
static void *pthread_cond_timedwait_address, *pthread_cond_clockwait_address;

static void *real(const char *name, void **address)
{
    /* Of the condition variables' functions x86-64 has an older version, which a plain look-up may give. */
    if (!*address)
        *address = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
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
    const void *map = mmap(NULL, sizeof *shifts, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        abort();
    shifts = map;
}

static int64_t to_ns(const struct timespec *t)
{
    return t->tv_sec * (int64_t)NS + t->tv_nsec;
}

static struct timespec from_ns(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS, .tv_nsec = ns % NS};
    if (t.tv_nsec < 0)
        t.tv_sec -= 1, t.tv_nsec += NS;
    return t;
}

static int64_t kernel_ns(clockid_t clock)
{
    struct timespec now;
    REAL(clock_gettime)(clock, &now);
    return to_ns(&now);
}

static int64_t share(int64_t ppb, int64_t elapsed_ns)
{
    return (int64_t)((__int128)ppb * elapsed_ns / NS);
}

static int is_shifted(clockid_t clock)
{
    return clock >= CLOCK_REALTIME && clock <= CLOCK_TAI && clock != CLOCK_PROCESS_CPUTIME_ID &&
           clock != CLOCK_THREAD_CPUTIME_ID;
}

/* By how much a clock is ahead in a stretch, when the kernel's RAW is `raw_ns`. */
static int64_t shift_in(const struct stretch *s, clockid_t clock, int64_t raw_ns)
{
    int64_t drifted = share(s->drift_ppb, raw_ns - s->from_raw_ns);
    int64_t slewed = drifted + share(s->slew_ppb, raw_ns - s->from_raw_ns);
    switch (clock) {
    case CLOCK_MONOTONIC_RAW:
        return s->raw_ns + drifted;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        return s->mono_ns + slewed;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        return s->boot_ns + slewed;
    default:
        return s->wall_ns + slewed;
    }
}

/* A copy of the present and the last stretch, right unless its generation `is_over`. */
static uint64_t begin(struct shifts *copy)
{
    uint64_t generation;
    while ((generation = __atomic_load_n(&shifts->generation, __ATOMIC_ACQUIRE)) % 2)
        sched_yield();
    memcpy(copy, (const void *)shifts, sizeof *copy);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return generation;
}

static int is_over(uint64_t generation)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&shifts->generation, __ATOMIC_RELAXED) != generation;
}

/* What a shifted clock shows, and in `ahead` by how much that is ahead of the kernel's. While clocks gain, RAW must
 * have been read next to the clock: an interruption in between would show as a jump. */
static int64_t shifted_ns(clockid_t clock, int64_t *ahead)
{
    struct shifts s;
    uint64_t generation;
    int64_t before = 0, kernel, after = 0;
    int tries = 0;
    if (!shifts || !is_shifted(clock)) {
        *ahead = 0;
        return kernel_ns(clock);
    }
    do {
        generation = begin(&s);
        int gains = s.now.drift_ppb || s.now.slew_ppb;
        do {
            before = gains ? kernel_ns(CLOCK_MONOTONIC_RAW) : 0;
            kernel = kernel_ns(clock);
            after = gains ? kernel_ns(CLOCK_MONOTONIC_RAW) : 0;
        } while (after - before > CLOSE_NS && ++tries < TRIES);
        *ahead = shift_in(&s.now, clock, gains ? before + (after - before) / 2 : s.now.from_raw_ns);
    } while (is_over(generation));
    return kernel + *ahead;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t ahead;
    if (!shifts || !is_shifted(clock))
        return REAL(clock_gettime)(clock, now);
    *now = from_ns(shifted_ns(clock, &ahead));
    return 0;
}

EXPORT int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    if (zone)
        memset(zone, 0, sizeof(struct timezone));
    return 0;
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

static void shift_timex(struct timex *state)
{
    int64_t unit = state->status & STA_NANO ? 1 : 1000, ahead;
    shifted_ns(CLOCK_REALTIME, &ahead);
    struct timespec now = from_ns(state->time.tv_sec * (int64_t)NS + state->time.tv_usec * unit + ahead);
    state->time.tv_sec = now.tv_sec;
    state->time.tv_usec = now.tv_nsec / unit;
}

EXPORT int adjtimex(struct timex *state)
{
    int status = REAL(adjtimex)(state);
    if (status >= 0)
        shift_timex(state);
    return status;
}

EXPORT int clock_adjtime(clockid_t clock, struct timex *state)
{
    int status = REAL(clock_adjtime)(clock, state);
    if (status >= 0 && clock == CLOCK_REALTIME)
        shift_timex(state);
    return status;
}

/* A stamp of the kernel's W as this process's W would have shown it at that moment. */
static int64_t shifted_stamp(int64_t stamp)
{
    struct shifts s;
    uint64_t generation;
    int64_t raw, age;
    do {
        generation = begin(&s);
        raw = kernel_ns(CLOCK_MONOTONIC_RAW);
        age = kernel_ns(CLOCK_REALTIME) - stamp;
    } while (is_over(generation));
    raw -= age > 0 ? age : 0;
    return stamp + shift_in(raw < s.now.from_raw_ns ? &s.before : &s.now, CLOCK_REALTIME, raw);
}

/* The first stamp of each kind; SO_TIMESTAMPING's third is of the network card's own clock and stays.
 * Numbers of asm-generic/socket.h: old and new (64-bit time) layouts are the same on 64-bit machines. */
static void shift_stamps(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        int64_t stamp[2], unit = 1;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_len < CMSG_LEN(sizeof stamp))
            continue;
        switch (c->cmsg_type) {
        case 29: /* SCM_TIMESTAMP, old */
        case 63: /* and new: a timeval */
            unit = 1000;
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
        struct timespec shifted = from_ns(shifted_stamp(stamp[0] * NS + stamp[1] * unit));
        stamp[0] = shifted.tv_sec;
        stamp[1] = shifted.tv_nsec / unit;
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

/* Whether a shifted clock has yet to reach `until`; if so, `kernel` is when the kernel's should look again. */
static int is_ahead(clockid_t clock, const struct timespec *until, struct timespec *kernel)
{
    int64_t ahead, now = shifted_ns(clock, &ahead);
    *kernel = from_ns(to_ns(until) - ahead);
    return now < to_ns(until);
}

EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
    struct timespec kernel;
    int status = 0;
    if (!(flags & TIMER_ABSTIME) || !is_shifted(clock))
        return REAL(clock_nanosleep)(clock, flags, wanted, left);
    while (status == 0 && is_ahead(clock, wanted, &kernel))
        status = REAL(clock_nanosleep)(clock, flags, &kernel, left);
    return status;
}

EXPORT int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    struct timespec kernel;
    int status;
    do {
        is_ahead(clock, until, &kernel);
        status = REAL(sem_clockwait)(sem, clock, &kernel);
    } while (status < 0 && errno == ETIMEDOUT && is_ahead(clock, until, &kernel));
    return status;
}

EXPORT int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    return sem_clockwait(sem, CLOCK_REALTIME, until);
}

/* Waits on conditions may end early by themselves, so these do not look again. */
EXPORT int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *until)
{
    struct timespec kernel;
    is_ahead(clock, until, &kernel);
    return REAL(pthread_cond_clockwait)(condition, mutex, clock, &kernel);
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                                  const struct timespec *restrict until)
{
    /* The condition knows its clock and does not tell: no machine has been up for 30 years. */
    clockid_t clock = until->tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec kernel;
    is_ahead(clock, until, &kernel);
    return REAL(pthread_cond_timedwait)(condition, mutex, &kernel);
}
