// A vitest reporter: writes counts to the file CALI_TEST_COUNTS, and prints every ten seconds which test is running.
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const HEARTBEAT_MS = Number(process.env.CALI_TEST_HEARTBEAT_MS || 10_000);
const root = path.resolve(import.meta.dirname, '..');

export default class ProgressReporter {
  #startedAt = performance.now();
  #counts = { passed: 0, failed: 0, skipped: 0 };
  /** Running tests, with their start times. */
  #running = new Map();
  #modules = new Set();
  #timer;

  onInit() {
    // On a terminal, vitest updates its own summary every second.
    if (process.stdout.isTTY) return;
    this.#timer = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#timer.unref();
  }

  onTestModuleStart(module) {
    this.#modules.add(module);
  }

  onTestCaseReady(test) {
    this.#running.set(test, performance.now());
  }

  onTestCaseResult(test) {
    this.#running.delete(test);
    const { state } = test.result();
    if (state in this.#counts) this.#counts[state]++;
    this.#write();
  }

  onTestModuleEnd(module) {
    this.#modules.delete(module);
  }

  onTestRunEnd() {
    clearInterval(this.#timer);
    this.#write();
  }

  #write() {
    const file = process.env.CALI_TEST_COUNTS;
    if (file) writeFileSync(file, JSON.stringify(this.#counts));
  }

  #beat() {
    const { passed, failed } = this.#counts;
    const [oldest] = this.#running;
    const [module] = this.#modules;
    const waiting = oldest
      ? `${fileOf(oldest[0].module)}: ${oldest[0].fullName} (${seconds(oldest[1])} s)`
      : module
        ? fileOf(module)
        : 'preparing';
    process.stdout.write(
      `… ${seconds(this.#startedAt)} s, ${passed} passed, ${failed} failed so far; running: ${waiting}\n`,
    );
  }
}

function fileOf(module) {
  return path.relative(root, module.moduleId);
}

function seconds(since) {
  return Math.round((performance.now() - since) / 1000);
}
