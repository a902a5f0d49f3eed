package load

import (
	"syscall"
	"time"
)

// nap sleeps to within some ten microseconds. The runtime's own timers end on the
// milliseconds of its poller when nothing else is to be done, which would turn 20 000
// requests a second into a thousand bursts of twenty.
func nap(d time.Duration) bool {
	const setTimerSlack, nanosecond = 29, 1 // PR_SET_TIMERSLACK: the kernel's own default adds 50 µs
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, nanosecond, 0)
	rest := syscall.NsecToTimespec(int64(d))
	return syscall.Nanosleep(&rest, nil) == nil
}
