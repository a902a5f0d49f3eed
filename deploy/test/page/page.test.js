// The status page as somebody on call sees it: in a browser, in front of a running
// sidecar whose API goes away and comes back. CHROMIUM names the browser, VITRINE a program
// that is built already, SCREENSHOTS a folder for pictures of the page.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import readline from "node:readline";
import { chromium } from "playwright-core";

const patience = 60_000; // milliseconds: a bound against hanging, not a measurement
const folder = mkdtempSync(join(tmpdir(), "vitrine-page-"));
const ended = []; // what to do afterwards, last first

let api, sidecar, browser, shopping;

// standIn is the API: it answers every event with the same list. It can go away and come back.
class StandIn {
  async start() {
    this.server = http.createServer((request, response) => {
      request.resume().on("end", () => {
        response.setHeader("Content-Type", "application/json");
        response.end('{"products":["p1","p2","p3"]}');
      });
    });
    await new Promise((ready) => this.server.listen(this.port ?? 0, "127.0.0.1", ready));
    this.port = this.server.address().port;
  }
  async stop() {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    await closed;
  }
}

// start runs the built program, and returns where it listens.
async function start() {
  const program = process.env.VITRINE ?? join(folder, "vitrine");
  if (!process.env.VITRINE) execFileSync("go", ["build", "-o", program, "./cmd/vitrine"], { cwd: join(import.meta.dirname, "../../.."), stdio: "inherit" });
  const any = "127.0.0.1:0";
  const serve = spawn(program, ["serve", "--listen", any, "--probe.listen", any, "--admin.listen", any, "--upstream.url", `http://127.0.0.1:${api.port}`,
    "--upstream.token", "t", "--outbox.dir", "memory", "--log.format", "json"], { stdio: ["ignore", "ignore", "pipe"], env: { HOME: folder } });
  ended.push(() => serve.kill("SIGKILL"));
  for await (const line of readline.createInterface({ input: serve.stderr })) {
    const said = JSON.parse(line);
    if (said.msg === "ready") {
      serve.stderr.resume();
      return { data: `http://${said.data}`, admin: `http://${said.admin}` };
    }
  }
  throw new Error("the sidecar ended before it was ready");
}

// shop asks for a list now and then, each time in another session.
async function shop() {
  for (let session = 0; shopping; session++) {
    const event = { sessionId: `s${session}`, eventType: "productView", data: { id: "p9" } };
    const answer = await fetch(`${sidecar.data}/api/v1/products/protected/recommendation`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(event),
    });
    assert.equal(answer.status, 200);
    await answer.text();
    await new Promise((later) => setTimeout(later, 50));
  }
}

// open opens the page, and fails if it complains or asks anybody else.
async function open(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && complaints.push(said.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (r) => r.url().startsWith(sidecar.admin) || r.url().startsWith("data:") || complaints.push(`asked ${r.url()}`));
  await page.goto(sidecar.admin);
  return { page, close: async () => { await context.close(); assert.deepEqual(complaints, []); } };
}

const verdict = (page, like) => page.locator("#verdict", { hasText: like }).waitFor({ timeout: patience });

before(async () => {
  api = new StandIn();
  await api.start();
  sidecar = await start();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  shopping = true;
  const walked = shop();
  ended.push(async () => { shopping = false; await walked; });
}, { timeout: 5 * patience });

after(async () => {
  for (const end of ended.reverse()) await end();
  await browser?.close();
  await api?.stop();
  rmSync(folder, { recursive: true });
});

test("the verdict follows the API, and the page needs no reload", { timeout: 5 * patience }, async () => {
  const { page, close } = await open();
  await verdict(page, /^Serving (mostly )?from the API/);
  await api.stop();
  await verdict(page, /recommendation breaker open/);
  await page.locator("#breakers tr", { hasText: "recommendation" }).locator(".state-open").waitFor({ timeout: patience });
  await page.locator("#changes-box summary").click();
  await page.locator("#changes tr", { hasText: "connection failures in a row" }).first().waitFor({ timeout: patience });
  await api.start();
  await page.locator("#verdict", { hasNotText: /breaker/ }).waitFor({ timeout: patience });
  await page.locator("#changes tr", { hasText: "probes succeeded" }).first().waitFor({ timeout: patience });
  await page.locator("#chart-sources polygon.c-api").waitFor({ state: "attached", timeout: patience });
  await close();
});

test("explain, by keyboard alone", { timeout: patience }, async () => {
  const { page, close } = await open();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter"); // the link that skips to the form
  await page.keyboard.press("Tab");
  await page.keyboard.type("s-unknown");
  for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
  await page.keyboard.type("p9");
  await page.keyboard.press("Tab");
  await page.keyboard.type("n2, n1");
  await page.keyboard.press("Enter");
  await page.locator("#explanation strong").waitFor({ timeout: patience });
  assert.match(await page.locator("#explanation").innerText(), /n2 \(native\), n1 \(native\)/);
  assert.ok((await page.locator("#rungs tbody tr").count()) > 1);
  await close();
});

test("explain says what is wrong with an event", { timeout: patience }, async () => {
  const { page } = await open();
  await page.locator("[name=sessionId]").fill("s1");
  await page.getByRole("button", { name: "Explain" }).click();
  assert.match(await page.locator("#explanation .refused").innerText(), /data\.id/);
  await page.context().close(); // the browser itself reports the refusal to its console
});

for (const colorScheme of ["light", "dark"]) {
  test(`a phone, ${colorScheme}: nothing is cut off, everything can be read`, { timeout: patience }, async () => {
    const { page, close } = await open({ viewport: { width: 360, height: 740 }, colorScheme });
    await page.locator("#breakers tbody tr").first().waitFor({ timeout: patience });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "the page is wider than the screen");
    const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(paper, colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(16, 18, 20)");
    if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `phone-${colorScheme}.png`), fullPage: true });
    await close();
  });
}
