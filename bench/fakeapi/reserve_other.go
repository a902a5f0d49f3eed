//go:build !linux

package fakeapi

import "io"

// reserve leaves the choice of the port to the first listener. Between Stop and
// Start another process may take it here; then Start returns an error.
func reserve() (io.Closer, string, error) { return nil, "127.0.0.1:0", nil }
