/* Preloaded into a child to lie to it: about its own pid, and about the wall clock from the moment on in which a
   certain file exists. The monotonic clock tells the truth. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

pid_t getpid(void) {
    const char *pid = getenv("PATHLOCK_SHIM_PID");
    return pid ? (pid_t)atoi(pid) : (pid_t)syscall(SYS_getpid);
}

static long step(void) {
    const char *seconds = getenv("PATHLOCK_SHIM_STEP"), *file = getenv("PATHLOCK_SHIM_STEP_FILE");
    int before = errno;
    int stepped = seconds && file && access(file, F_OK) == 0;
    errno = before;
    return stepped ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += step();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec real;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &real);
    now->tv_sec = real.tv_sec;
    now->tv_usec = real.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    if (out) *out = real.tv_sec;
    return real.tv_sec;
}
