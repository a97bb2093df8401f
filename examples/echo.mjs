#!/usr/bin/env node
// Answers "/echo TEXT" with TEXT; "/slow" after a second, while others are
// served: slots says how many events it takes at once.
//
//     ROOKERY_HANDLER=exec:examples/echo.mjs rookery up
import { createInterface } from "node:readline";

const send = (frame) => process.stdout.write(JSON.stringify(frame) + "\n");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function onMessage(ev) {
  if (ev.text.startsWith("/echo "))
    send({ op: "reply", ev: ev.id, text: ev.text.slice(6) });
  if (ev.text === "/slow") {
    await sleep(1000);
    send({ op: "reply", ev: ev.id, text: "that was slow" });
  }
}

async function onEvent(ev) {
  try {
    await onMessage(ev);
    send({ op: "ack", ev: ev.id });
  } catch (e) {
    console.error(e);
    send({ op: "nack", ev: ev.id, why: String(e) });
  }
}

send({ op: "hello", v: 1, name: "echo", events: ["message.*"], slots: 8 });
for await (const line of createInterface({ input: process.stdin })) {
  const f = JSON.parse(line);
  if (f.op === "event") onEvent(f);
  if (f.op === "bye") break;
}
