package main

import (
	"context"
	"io"

	"vitrine/bench/rank"
)

// commands lists everything the harness can do, in the order of the overview.
func commands() []command {
	return []command{
		{"run", "offer a shop's traffic and report latency by source", cmdRun},
		{"ab", "measure two targets in turn and say how sure the difference is", cmdAB},
		{"marks", "hold every cost of the sidecar against its mark", cmdMarks},
		{"growth", "show how its costs grow with load, size and time", cmdGrowth},
		{"find", "search the highest rate that keeps the objectives", cmdFind},
		{"chaos", "let faults loose and hold the sidecar to its pass marks", cmdChaos},
		{"soak", "offer a steady load for long and show what grows", cmdSoak},
		{"isolation", "look for lists that reach somebody they are not for", cmdIsolation},
		{"rank", "hold the fallback's lists against the API's own, in a simulation", cmdRank},
		{"hit", "foretell the hit share and the load on Redis, without a network", cmdHit},
		{"gen", "write a scenario's requests as a trace", cmdGen},
		{"replay", "send a trace with its gaps", cmdReplay},
		{"compare", "hold a run's report against an older one", cmdCompare},
		{"selftest", "show that the harness measures what it says", cmdSelftest},
		{"fakeapi", "run the stand-in API by itself, to rehearse an outage", cmdFakeAPI},
		{"bare", "", cmdBare},
		{"upstream", "", cmdUpstream},
		{"relay", "", cmdRelay},
		{"tier", "", cmdTier},
	}
}

func cmdRank(_ context.Context, args []string, stdout, stderr io.Writer) int {
	return rank.Run(args, stdout, stderr)
}
