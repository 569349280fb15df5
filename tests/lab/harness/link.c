/* Carries packets between two TUN devices, each in a network namespace of its own, with delay, loss, duplication,
 * reordering, a rate and partitions, all per direction.
 *
 * link MAP NAMESPACE DEVICE NAMESPACE DEVICE SEED
 *
 * MAP is the file that link.py made: it writes each direction's conditions there under a sequence lock, which hold
 * from the next packet on, and reads the counters. Direction 0 goes from the first device to the second. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST_PACKET = 65536, HELD_MOST = 1 << 17, BATCH = 64, TRACE_MOST = 1 << 16 };
enum kind { CONSTANT, NORMAL, LOG_NORMAL, PARETO, TRACE, SHUFFLED_TRACE };
static const double LONGEST_NS = 3600e9;

/* Everything in the map is 8 bytes wide; link.py has the same layout. */
struct conditions {
    uint64_t generation; /* odd while link.py writes */
    int64_t kind;
    double least_ns, scale_ns, shape;
    double loss, duplicate, reorder;
    int64_t rate_bps, queue_bytes, partitioned; /* no limit of the rate: 0 */
    int64_t trace_count;
    int64_t trace_ns[TRACE_MOST];
};

struct counters {
    uint64_t seen, forwarded, lost, queue_full, partitioned, undeliverable, duplicated, reordered;
};

struct map {
    uint64_t ready;
    struct counters counters[2];
    struct conditions conditions[2];
};

struct packet {
    int64_t due_ns;
    uint64_t number;
    size_t length;
    unsigned char data[];
};

struct direction {
    int from, to;
    const volatile struct conditions *asked;
    volatile struct counters *counters;
    struct conditions now;
    uint64_t random;
    uint64_t number, newest_forwarded;
    int64_t last_due_ns, free_at_ns, trace_at;
    struct packet *held[HELD_MOST]; /* a heap: the next one due is the first */
    int held_count;
};

static struct direction directions[2];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* splitmix64 (Steele, Lea, Flood 2014): a uniform number in [0, 1). */
static double uniform(struct direction *d)
{
    uint64_t z = d->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static double normal(double u, double v)
{
    return sqrt(-2 * log1p(-u)) * cos(2 * M_PI * v);
}

static int64_t draw_delay(struct direction *d)
{
    const struct conditions *c = &d->now;
    double u = uniform(d), v = uniform(d), delay = c->least_ns; /* always two, so that a seed's stream holds */
    switch (c->kind) {
    case NORMAL:
        delay += c->scale_ns * normal(u, v);
        break;
    case LOG_NORMAL:
        delay += c->scale_ns * exp(c->shape * normal(u, v));
        break;
    case PARETO:
        delay += c->scale_ns * pow(1 - u, -1 / c->shape);
        break;
    case TRACE:
        delay = (double)c->trace_ns[d->trace_at++ % c->trace_count];
        break;
    case SHUFFLED_TRACE:
        delay = (double)c->trace_ns[(int64_t)(u * (double)c->trace_count)];
        break;
    }
    return (int64_t)(delay < 0 ? 0 : delay > LONGEST_NS ? LONGEST_NS : delay);
}

/* Take over new conditions, if there are any and they are written in full. */
static void refresh(struct direction *d)
{
    uint64_t generation = __atomic_load_n(&d->asked->generation, __ATOMIC_ACQUIRE);
    static struct conditions copy;
    if (generation == d->now.generation || generation % 2)
        return;
    int64_t traced = d->asked->trace_count;
    size_t size = offsetof(struct conditions, trace_ns);
    if (traced > 0 && traced <= TRACE_MOST)
        size += (size_t)traced * sizeof *copy.trace_ns;
    memcpy(&copy, (const void *)d->asked, size);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&d->asked->generation, __ATOMIC_RELAXED) != generation)
        return;
    memcpy(&d->now, &copy, size);
    d->trace_at = 0;
}

static int earlier(const struct packet *a, const struct packet *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->number < b->number);
}

static void hold(struct direction *d, struct packet *p)
{
    int at = d->held_count++;
    for (; at && earlier(p, d->held[(at - 1) / 2]); at = (at - 1) / 2)
        d->held[at] = d->held[(at - 1) / 2];
    d->held[at] = p;
}

static struct packet *take_first(struct direction *d)
{
    struct packet *first = d->held[0], *last = d->held[--d->held_count];
    int at = 0, child;
    for (; (child = 2 * at + 1) < d->held_count; at = child) {
        if (child + 1 < d->held_count && earlier(d->held[child + 1], d->held[child]))
            child++;
        if (!earlier(d->held[child], last))
            break;
        d->held[at] = d->held[child];
    }
    d->held[at] = last;
    return first;
}

/* One copy of a packet onto the line: it waits for its turn, takes its time, and overtakes nobody unless `free`. */
static void enqueue(struct direction *d, const unsigned char *data, size_t length, int64_t now, int64_t delay, int free)
{
    const struct conditions *c = &d->now;
    int64_t start = now;
    struct packet *p = NULL;
    if (c->rate_bps) {
        double ns_per_byte = 8e9 / (double)c->rate_bps;
        if (d->free_at_ns < now)
            d->free_at_ns = now;
        if ((double)(d->free_at_ns - now) / ns_per_byte + (double)length > (double)c->queue_bytes) {
            d->counters->queue_full++;
            return;
        }
        start = d->free_at_ns += (int64_t)((double)length * ns_per_byte);
    }
    if (d->held_count < HELD_MOST)
        p = malloc(sizeof *p + length);
    if (!p) {
        d->counters->queue_full++;
        return;
    }
    p->due_ns = start + delay;
    if (!free) {
        if (p->due_ns < d->last_due_ns)
            p->due_ns = d->last_due_ns;
        d->last_due_ns = p->due_ns;
    }
    p->number = d->number;
    p->length = length;
    memcpy(p->data, data, length);
    hold(d, p);
}

static void arrive(struct direction *d, const unsigned char *data, size_t length)
{
    int64_t now = now_ns();
    refresh(d);
    const struct conditions *c = &d->now;
    int lost = uniform(d) < c->loss, twice = uniform(d) < c->duplicate, free = uniform(d) < c->reorder;
    int64_t delay = draw_delay(d);
    d->number++;
    d->counters->seen++;
    if (c->partitioned) {
        d->counters->partitioned++;
    } else if (lost) {
        d->counters->lost++;
    } else {
        enqueue(d, data, length, now, delay, free);
        if (twice) {
            d->counters->duplicated++;
            enqueue(d, data, length, now, delay, free);
        }
    }
}

static void receive(struct direction *d)
{
    static unsigned char data[LARGEST_PACKET];
    for (int i = 0; i < BATCH; i++) {
        ssize_t length = read(d->from, data, sizeof data);
        if (length > 0)
            arrive(d, data, (size_t)length);
        else if (length < 0 && errno == EAGAIN)
            return;
        else if (errno != EINTR)
            fail("reading a packet");
    }
}

/* Forward what is due and say when the next packet will be (INT64_MAX: none). */
static int64_t forward(struct direction *d)
{
    while (d->held_count && d->held[0]->due_ns <= now_ns()) {
        struct packet *p = take_first(d);
        if (write(d->to, p->data, p->length) == (ssize_t)p->length)
            d->counters->forwarded++;
        else
            d->counters->undeliverable++;
        /* RFC 4737 section 3.3: reordered is what comes after a later one. */
        if (p->number < d->newest_forwarded)
            d->counters->reordered++;
        else
            d->newest_forwarded = p->number;
        free(p);
    }
    return d->held_count ? d->held[0]->due_ns : INT64_MAX;
}

static int open_device(const char *namespace, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open(namespace, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        fail(namespace);
    close(fd);
    /* A TUN device lies in the namespace that opened it, and goes when this process does. */
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fail("/dev/net/tun");
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        fail(name);
    return fd;
}

/* Be on time on a busy machine, as far as one may. */
static void be_prompt(void)
{
    struct sched_param param = {.sched_priority = 10};
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
        setpriority(PRIO_PROCESS, 0, -20);
    mlockall(MCL_CURRENT);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return fprintf(stderr, "usage: link MAP NAMESPACE DEVICE NAMESPACE DEVICE SEED\n"), 2;
    int fd = open(argv[1], O_RDWR | O_CLOEXEC);
    struct map *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *map, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        fail(argv[1]);
    int devices[2] = {open_device(argv[2], argv[3]), open_device(argv[4], argv[5])};
    for (int i = 0; i < 2; i++) {
        directions[i].from = devices[i];
        directions[i].to = devices[!i];
        directions[i].asked = &map->conditions[i];
        directions[i].counters = &map->counters[i];
        directions[i].random = strtoul(argv[6], NULL, 10) * 2 + (uint64_t)i;
    }
    be_prompt();
    __atomic_store_n(&map->ready, 1, __ATOMIC_RELEASE);
    for (;;) {
        int64_t next = INT64_MAX;
        struct pollfd polled[2];
        for (int i = 0; i < 2; i++) {
            int64_t due = forward(&directions[i]);
            next = due < next ? due : next;
            polled[i] = (struct pollfd){.fd = devices[i], .events = POLLIN};
        }
        int64_t left = next == INT64_MAX ? 0 : next - now_ns();
        left = left < 0 ? 0 : left;
        struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        if (ppoll(polled, 2, next == INT64_MAX ? NULL : &wait, NULL) < 0 && errno != EINTR)
            fail("waiting for packets");
        for (int i = 0; i < 2; i++)
            receive(&directions[i]);
    }
}
