/* Sends packets to a reflector and times what comes back. Packets come from a file: a length of two octets each
 * (in network order) and then that many octets. See reflector.py.
 *
 *   reflector_client blast  TARGET PORT FILE SECONDS OUTSTANDING   as many as go, with so many unanswered
 *   reflector_client all    TARGET PORT FILE RATE                  each packet once
 *   reflector_client flood  TARGET PORT FILE SECONDS RATE          over and over, answers unread
 *   reflector_client probe  TARGET PORT FILE COUNT INTERVAL_US     one at a time; a line each:
 *       s4 - s1 in user space, the same by the kernel's stamps, T3 - T2; in ns; -1 -1 -1 when lost
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define ROOM 9000

static unsigned char *packets;
static size_t *starts;
static size_t count;
static int sock;

static int64_t now_ns(clockid_t clock)
{
	struct timespec at;
	clock_gettime(clock, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static size_t length_of(size_t n)
{
	return (size_t)packets[starts[n]] << 8 | packets[starts[n] + 1];
}

static void *bytes_of(size_t n)
{
	return packets + starts[n] + 2;
}

static void load(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		die(path);
	fseek(file, 0, SEEK_END);
	size_t size = (size_t)ftell(file), at = 0;
	rewind(file);
	packets = malloc(size);
	starts = malloc((size / 2 + 1) * sizeof *starts);
	if (!packets || !starts || fread(packets, 1, size, file) != size)
		die(path);
	fclose(file);
	while (at + 2 <= size) {
		starts[count++] = at;
		at += 2 + length_of(count - 1);
	}
}

static void send_some(size_t from, unsigned int how_many)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	for (unsigned int n = 0; n < how_many; n++) {
		size_t which = (from + n) % count;
		vectors[n].iov_base = bytes_of(which);
		vectors[n].iov_len = length_of(which);
		messages[n].msg_hdr.msg_iov = &vectors[n];
		messages[n].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned int done = 0; done < how_many;) {
		int sent = sendmmsg(sock, messages + done, how_many - done, 0);
		if (sent < 0 && errno != ENOBUFS && errno != ECONNREFUSED)
			die("sendmmsg");
		done += sent > 0 ? (unsigned int)sent : 1;
	}
}

static unsigned long drain(int patience_ms)
{
	static unsigned char room[BATCH][ROOM];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	struct pollfd ready = {.fd = sock, .events = POLLIN};
	if (poll(&ready, 1, patience_ms) <= 0)
		return 0;
	for (int n = 0; n < BATCH; n++) {
		vectors[n] = (struct iovec){room[n], ROOM};
		messages[n].msg_hdr.msg_iov = &vectors[n];
		messages[n].msg_hdr.msg_iovlen = 1;
	}
	int got = recvmmsg(sock, messages, BATCH, MSG_DONTWAIT, NULL);
	return got > 0 ? (unsigned long)got : 0;
}

static void blast(double seconds, unsigned long outstanding)
{
	unsigned long sent = 0, answered = 0, lost = 0;
	int64_t began = now_ns(CLOCK_MONOTONIC), end = began + (int64_t)(seconds * 1e9);
	while (now_ns(CLOCK_MONOTONIC) < end && sent < count) {
		unsigned long room = outstanding - (sent - answered - lost);
		unsigned int batch = (unsigned int)(room < BATCH ? room : BATCH);
		if (batch > count - sent)
			batch = (unsigned int)(count - sent);
		if (batch >= outstanding / 4 || sent + batch == count) {
			send_some(sent, batch);
			sent += batch;
		}
		unsigned long got = drain(20);
		answered += got;
		if (!got)
			lost = sent - answered;
	}
	double took = (now_ns(CLOCK_MONOTONIC) - began) / 1e9;
	printf("%lu %lu %.3f\n", sent, answered, took);
}

static void paced(double seconds, double rate, int once)
{
	unsigned long sent = 0, answered = 0;
	int64_t began = now_ns(CLOCK_MONOTONIC), end = began + (int64_t)(seconds * 1e9);
	for (;;) {
		int64_t at = now_ns(CLOCK_MONOTONIC);
		if (once ? sent >= count : at >= end)
			break;
		double due = (at - began) / 1e9 * rate;
		if (due > sent) {
			unsigned long behind = (unsigned long)(due - sent) + 1;
			unsigned int batch = (unsigned int)(behind < BATCH ? behind : BATCH);
			if (once && batch > count - sent)
				batch = (unsigned int)(count - sent);
			send_some(sent, batch);
			sent += batch;
		} else {
			struct timespec nap = {0, 100000};
			nanosleep(&nap, NULL);
		}
		if (once)
			answered += drain(0);
	}
	while (once) {
		unsigned long got = drain(200);
		if (!got)
			break;
		answered += got;
	}
	printf("%lu %lu %.3f\n", sent, answered, (now_ns(CLOCK_MONOTONIC) - began) / 1e9);
}

static int64_t kernel_stamp(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING) {
			struct timespec at;
			memcpy(&at, CMSG_DATA(c), sizeof at);
			return at.tv_sec * 1000000000LL + at.tv_nsec;
		}
	return 0;
}

static uint64_t stamp_at(const unsigned char *data)
{
	uint64_t value = 0;
	for (int n = 0; n < 8; n++)
		value = value << 8 | data[n];
	return value;
}

static ssize_t receive(unsigned char *room, int flags, int64_t *stamp)
{
	char control[512];
	struct iovec vector = {room, ROOM};
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t got = recvmsg(sock, &message, flags | MSG_DONTWAIT);
	if (got >= 0)
		*stamp = kernel_stamp(&message);
	return got;
}

static void probe(unsigned long how_many, long interval_us)
{
	unsigned char room[ROOM];
	int wanted = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
		     SOF_TIMESTAMPING_OPT_TSONLY;
	if (setsockopt(sock, SOL_SOCKET, SO_TIMESTAMPING, &wanted, sizeof wanted))
		die("SO_TIMESTAMPING");
	int64_t due = now_ns(CLOCK_MONOTONIC);
	for (unsigned long n = 0; n < how_many; n++, due += interval_us * 1000) {
		int64_t left = due - now_ns(CLOCK_MONOTONIC);
		if (left > 0) {
			struct timespec nap = {left / 1000000000, left % 1000000000};
			nanosleep(&nap, NULL);
		}
		while (receive(room, 0, &left) >= 0)
			;  /* what comes late is lost */
		int64_t s1 = now_ns(CLOCK_REALTIME), kernel_s1 = 0, kernel_s4 = 0, s4 = 0, deadline;
		send_some(n, 1);
		deadline = now_ns(CLOCK_MONOTONIC) + 1000000000;
		while (!s4 && now_ns(CLOCK_MONOTONIC) < deadline) {
			struct pollfd ready = {.fd = sock, .events = POLLIN};
			poll(&ready, 1, 100);
			unsigned char quoted[ROOM];
			receive(quoted, MSG_ERRQUEUE, &kernel_s1);
			if (receive(room, 0, &kernel_s4) > 0)
				s4 = now_ns(CLOCK_REALTIME);
		}
		if (!s4) {
			puts("-1 -1 -1");
			continue;
		}
		int is_signed = length_of(n) >= 112;
		uint64_t t3 = stamp_at(room + (is_signed ? 16 : 4)), t2 = stamp_at(room + (is_signed ? 32 : 16));
		long long residence = (long long)((double)(t3 - t2) * 1e9 / 4294967296.0);
		printf("%lld %lld %lld\n", (long long)(s4 - s1),
		       kernel_s1 && kernel_s4 ? (long long)(kernel_s4 - kernel_s1) : -1LL, residence);
	}
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return fprintf(stderr, "see the head of reflector_client.c\n"), 2;
	struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
	int room = 8 << 20;
	if (inet_pton(AF_INET, argv[2], &target.sin_addr) != 1)
		die(argv[2]);
	load(argv[4]);
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (argc > 7) {
		struct sockaddr_in own = {.sin_family = AF_INET};
		if (inet_pton(AF_INET, argv[7], &own.sin_addr) != 1 || bind(sock, (void *)&own, sizeof own))
			die(argv[7]);
	}
	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) ||
	    connect(sock, (void *)&target, sizeof target))
		die("socket");
	if (!strcmp(argv[1], "blast"))
		blast(atof(argv[5]), strtoul(argv[6], NULL, 10));
	else if (!strcmp(argv[1], "all"))
		paced(0, atof(argv[5]), 1);
	else if (!strcmp(argv[1], "flood"))
		paced(atof(argv[5]), atof(argv[6]), 0);
	else
		probe(strtoul(argv[5], NULL, 10), atol(argv[6]));
	return 0;
}
