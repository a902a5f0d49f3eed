//go:build !linux

package load

import "time"

// nap cannot sleep more precisely than the runtime's timers.
func nap(time.Duration) bool { return false }
