/* A client of ClockBound's shared memory, written from its protocol page: maps a segment, takes whole
 * snapshots by the generation, and prints one JSON line for each with the clocks that it used.
 *
 *     clockbound_client PATH VERSION COUNT [PAUSE_US]
 *
 * "before_ns" and "after_ns" are CLOCK_REALTIME by system call, past any preloaded library that shifts it,
 * before and after CLOCK_REALTIME was read for the interval.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct header {
    uint32_t magic[2];
    uint32_t size;
    _Atomic uint16_t version;
    _Atomic uint16_t generation;
};
struct body1 {
    int64_t as_of[2], void_after[2], bound_ns;
    uint32_t max_drift_ppb, reserved;
    int32_t status;
};
struct body2 {
    int64_t as_of[2], void_after[2], bound_ns;
    uint64_t disruption_marker;
    uint32_t max_drift_ppb;
    int32_t status;
    uint8_t disruption_support;
};
_Static_assert(sizeof(struct header) == 16, "header");
_Static_assert(sizeof(struct header) + sizeof(struct body1) == 72, "version 1");
_Static_assert(sizeof(struct header) + sizeof(struct body2) == 80, "version 2");

static int64_t ns(const struct timespec *at) { return (int64_t)at->tv_sec * 1000000000 + at->tv_nsec; }

static int64_t read_clock(clockid_t which)
{
    struct timespec at;
    if (clock_gettime(which, &at)) exit(9);
    return ns(&at);
}

static int64_t read_past_preload(void)
{
    struct timespec at;
    if (syscall(SYS_clock_gettime, CLOCK_REALTIME, &at)) exit(9);
    return ns(&at);
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    const unsigned version = atoi(argv[2]);
    const long count = atol(argv[3]);
    const size_t size = version == 1 ? 72 : 80;
    int file = open(argv[1], O_RDONLY);
    struct header read_first;
    if (file < 0 || read(file, &read_first, sizeof read_first) != sizeof read_first) return 3;
    if (read_first.magic[0] != 0x414D5A4E || read_first.magic[1] != 0x43420200) return 4;
    if (read_first.version != version || read_first.size < size || read_first.generation == 0) return 5;
    unsigned char *mapped = mmap(NULL, read_first.size, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) return 6;
    struct header *header = (struct header *)mapped;

    for (long turn = 0; turn < count; turn++) {
        struct body2 found = {0};
        uint16_t generation;
        long tries = 0;
        for (;;) {
            if (++tries > 100000000) return 7;
            generation = atomic_load_explicit(&header->generation, memory_order_acquire);
            if (generation == 0 || generation % 2) continue;
            if (version == 1) {
                struct body1 old;
                memcpy(&old, mapped + sizeof *header, sizeof old);
                memcpy(&found, &old, 40);
                found.max_drift_ppb = old.max_drift_ppb;
                found.status = old.status;
            } else {
                memcpy(&found, mapped + sizeof *header, sizeof found);
            }
            atomic_thread_fence(memory_order_acquire);
            if (atomic_load_explicit(&header->generation, memory_order_acquire) == generation) break;
        }
        int64_t before = read_past_preload();
        /* W first: what comes between only makes the bound wider. */
        int64_t real = read_clock(CLOCK_REALTIME);
        int64_t coarse = read_clock(CLOCK_MONOTONIC_COARSE);
        int64_t after = read_past_preload();

        int64_t as_of = found.as_of[0] * 1000000000 + found.as_of[1];
        int64_t void_after = found.void_after[0] * 1000000000 + found.void_after[1];
        int64_t age = coarse - as_of;
        if (age <= -1000) return 8; /* as_of in the future */
        if (age < 0) age = 0;
        int64_t bound = found.bound_ns + (int64_t)(age / 1e9 * found.max_drift_ppb);
        int status = found.status;
        if (status == 1 || status == 2) {
            if (coarse >= as_of + 5000000000) status = coarse < void_after ? 2 : 0;
        }
        printf("{\"generation\": %u, \"as_of_ns\": %" PRId64 ", \"void_after_ns\": %" PRId64
               ", \"bound_ns\": %" PRId64 ", \"max_drift_ppb\": %" PRIu32 ", \"published_status\": %" PRId32
               ", \"marker\": %" PRIu64 ", \"support\": %u, \"real_ns\": %" PRId64 ", \"coarse_ns\": %" PRId64
               ", \"earliest_ns\": %" PRId64 ", \"latest_ns\": %" PRId64 ", \"status\": %d, \"before_ns\": %" PRId64
               ", \"after_ns\": %" PRId64 "}\n",
               generation, as_of, void_after, found.bound_ns, found.max_drift_ppb, found.status,
               found.disruption_marker, found.disruption_support, real, coarse, real - bound, real + bound, status,
               before, after);
        fflush(stdout);
        if (argc > 4) usleep(atoi(argv[4]));
    }
    return 0;
}
