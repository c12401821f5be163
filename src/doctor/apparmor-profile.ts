/**
 * The AppArmor profile that lets our helper make user namespaces.
 *
 * Ubuntu allows user namespaces only to programs that have a profile with the rule `userns`. The profile is
 * for the helper's own path: one for Node.js would allow every script there is.
 */

/** Where the profile belongs. */
export const profilePath = '/etc/apparmor.d/vdens-launch';

/** The text of the profile for the helper at that absolute path; ends with a newline. */
export function apparmorProfile(launchPath: string): string {
  return `# Lets the helper of vdens make user namespaces (kernel.apparmor_restrict_unprivileged_userns=1).
abi <abi/4.0>,
include <tunables/global>

profile vdens-launch ${attachment(launchPath)} flags=(unconfined) {
  userns,

  include if exists <local/vdens-launch>
}
`;
}

/** A path that stands for itself alone: wildcards escaped, in quotes when it needs them (apparmor.d(5)). */
function attachment(path: string): string {
  const escaped = path.replace(/[\\"*?[\]{}]/g, String.raw`\$&`);
  return /\s/.test(escaped) ? `"${escaped}"` : escaped;
}
