//go:build !linux

package rig

import (
	"context"
	"errors"
	"fmt"
)

// ListenDeaf is for Linux only: what a full queue does to a SYN differs.
func ListenDeaf(context.Context, string) (*Deaf, error) {
	return nil, fmt.Errorf("a listener that drops SYNs: %w", errors.ErrUnsupported)
}

// Dialling is for Linux only.
func (d *Deaf) Dialling() (int, error) { return 0, errors.ErrUnsupported }
