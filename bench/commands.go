package main

// commands lists everything the harness can do, in the order of the overview.
func commands() []command {
	return []command{
		{"run", "offer a shop's traffic and report latency by source", cmdRun},
	}
}
