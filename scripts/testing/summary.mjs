/** What the test runner prints: one line per file, every failure in full, what was left out and why, the totals. */

/** One line as soon as a file is over. */
export function printFileLine({ file, passed, skips, failures, durationMs }) {
  const counts = [`${passed} passed`];
  if (failures.length > 0) counts.push(`${failures.length} FAILED`);
  if (skips.length > 0) counts.push(`${skips.length} skipped`);
  console.log(
    `${failures.length > 0 ? 'FAIL' : 'ok  '}  ${file}  ${counts.join(', ')}  (${(durationMs / 1000).toFixed(1)} s)`,
  );
  for (const failure of failures) console.log(`      failed: ${failure.name}`);
}

/** Every failure, whole. */
export function printFailures(results) {
  for (const { file, failures } of results) {
    for (const { name, where, text } of failures) {
      console.log(`\nFAILED  ${name}\n  in ${file}${where === undefined ? '' : `, ${where}`}`);
      console.log(text.trimEnd().replaceAll(/^/gm, '  '));
    }
  }
}

/** The tests that were left out, below their reasons. */
export function printSkips(results) {
  const byReason = new Map();
  for (const { file, skips } of results) {
    for (const { name, reason } of skips) {
      if (!byReason.has(reason)) byReason.set(reason, []);
      byReason.get(reason).push(`${name}  (${file})`);
    }
  }
  if (byReason.size > 0) console.log('\nLeft out:');
  for (const [reason, names] of byReason) {
    console.log(`  ${reason}`);
    for (const name of names) console.log(`    ${name}`);
  }
}

/** The very last line, in a form that programs can read too. */
export function printTotals(results) {
  const sum = (count) => results.reduce((total, result) => total + count(result), 0);
  const passed = sum((result) => result.passed);
  const failed = sum((result) => result.failures.length);
  const skipped = sum((result) => result.skips.length);
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return { passed, failed, skipped };
}
