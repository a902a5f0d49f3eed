package rig

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A jump of the clock must not be the machine's, which everybody else lives by. The sidecar
// of SetClock is built with one line more in the standard library: time.Now adds a number of
// seconds to the wall clock, and nothing to the monotonic one, exactly as it is when somebody
// sets a machine's clock. The number is a variable, written from outside.
const (
	clockVariable = "clockJump"
	clockLine     = "\tsec, nsec, mono := runtimeNow()\n"
	clockSource   = "\n// " + clockVariable + " is added to the wall clock, in seconds.\nvar " + clockVariable + " int64\n"
)

// CanJumpClock returns nil if SetClock works here, which takes Linux and the Go command, or
// why it does not.
func CanJumpClock(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return errors.New("setting the clock of one process takes Linux")
	}
	_, err := patchedTime(ctx)
	return err
}

// BuildForClock builds the sidecar of the module in the working folder so that SetClock can
// set its clock. The standard library is built anew, which takes a minute or two the first
// time.
func BuildForClock(ctx context.Context, dir string) (string, error) {
	patched, err := patchedTime(ctx)
	if err != nil {
		return "", err
	}
	source := filepath.Join(dir, "time.go")
	if err := os.WriteFile(source, patched.text, 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {patched.path: source}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return "", err
	}
	return build(ctx, filepath.Join(dir, "vitrine-clock"), "-overlay", file, "-buildmode=exe")
}

// source is a file and what is to be in its place.
type source struct {
	path string
	text []byte
}

func patchedTime(ctx context.Context) (source, error) {
	folder, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "time").Output()
	if err != nil {
		return source{}, fmt.Errorf("finding the standard library: %w", err)
	}
	path := filepath.Join(strings.TrimSpace(string(folder)), "time.go")
	text, err := os.ReadFile(path)
	if err != nil {
		return source{}, err
	}
	if strings.Count(string(text), clockLine) != 1 {
		return source{}, fmt.Errorf("%s reads the clock otherwise than known here", path)
	}
	patched := strings.Replace(string(text), clockLine, clockLine+"\tsec += "+clockVariable+"\n", 1)
	return source{path, []byte(patched + clockSource)}, nil
}

// SetClock sets the sidecar's wall clock, and no other, so much ahead of the machine's or
// behind. It must have been built by BuildForClock.
func (s *Sidecar) SetClock(ahead time.Duration) error {
	address, err := symbol(s.opts.Binary, "time."+clockVariable)
	if err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	memory, err := os.OpenFile("/proc/"+strconv.Itoa(s.p.cmd.Process.Pid)+"/mem", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	value := binary.NativeEndian.AppendUint64(nil, uint64(int64(ahead/time.Second)))
	_, err = memory.WriteAt(value, address)
	return errors.Join(err, memory.Close())
}

// symbol is where a variable of a program lies.
func symbol(binary, name string) (int64, error) {
	f, err := elf.Open(binary)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name == name && s.Size == 8 {
			return int64(s.Value), nil
		}
	}
	return 0, fmt.Errorf("%s has no %s", binary, name)
}
