// Package fakeapi is a stand-in for Fashion.AI's API: the recommendation call, the
// profiles and the read-only lists, as the vendor documents them, on a loopback
// address, with faults on demand and a ledger of every event that arrived.
//
// Tests and the bench start it in their own process:
//
//	api, err := fakeapi.Start(fakeapi.Options{})       // at once, never cold: for tests
//	api, err := fakeapi.Start(fakeapi.Realistic())     // latency and cold starts: for a rehearsal
//	…
//	api.Set(fakeapi.Fault{Status: 503, Share: 0.3})    // from now on
//	api.Clear()
//	entries := api.Ledger()                            // who asked what, and how it was answered
//
// # Rehearsing an outage
//
// A shop points the sidecar of its staging system at a stand-alone server and lets
// a script of phases pass over it:
//
//	repeat: false
//	phases:
//	  - name: all is well
//	    for: 2m
//	  - name: slow and failing
//	    for: 1m
//	    faults:                       # the first that hits a call decides its fate
//	      - {status: 503, share: 0.3, retry_after: "2"}
//	      - {latency: {p50: 1.8s, p99: 4.5s}}
//	  - name: refused
//	    for: 30s
//	    faults: [{answer: refuse}]
//	  - name: flapping, until told otherwise
//	    faults: [{answer: hang, up: 5s, down: 5s}]
//
// A phase without faults is a well API; so is the time after the last phase, unless
// that has no length of its own and so lasts until another script is set. Fault
// describes every member, and rehearsal.yaml shows all of them at work. The same text
// is accepted by POST /_control/script.
//
// # Watching it
//
// The control address is separate from the API's, so that a fault never hides it. It
// asks for no password: keep it on loopback.
//
//	GET  /_control/ledger?after=SEQ&session=S   the events, oldest first
//	GET  /_control/stats                        the counts
//	POST /_control/script                       a script as YAML (or JSON); answers 204
//	POST /_control/reset                        empties ledger and counts, ends the script
//
// # What it demands
//
// It is stricter than the vendor's documents, on purpose: an event with a member the
// documents do not name, a number where they say string, or a missing header is a 400
// (415 for the content type), so that a client which relies on leniency is found here.
//
// # What an event is
//
// The call is the event. An event counts, and is in the ledger, from the moment its
// body has been read whole, whatever becomes of the answer: a hung or reset call may
// have told the real API what the shopper did, too. Entry.Outcome says how it ended.
package fakeapi
