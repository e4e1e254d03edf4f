// Plays nothing itself: one JSON value a line, to the test.
export function tell(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
