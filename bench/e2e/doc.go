// Package e2e tests against a real shop: Vendure, from npm, as a process of its own.
// Vendure is under the GPL and is neither linked to nor shipped with anything here.
//
// The tests are skipped unless VITRINE_E2E is set; see vendure/package.json, whose
// packages `npm ci --ignore-scripts` must have put in place.
package e2e
