/**
 * A machine without a disk boots from a gateway: an address and the name of a file by DHCP, the file by TFTP, and what
 * that says by HTTP from the host. Its TCP is not that of Linux but iPXE's own.
 *
 * QEMU is not among the packages that the runner installs, because of its size. To have this test:
 * apt-get install qemu-system-x86 ipxe-qemu
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPlug } from '../../src/locator/open-plug.ts';
import { createSwitch } from '../../src/switch/switch.ts';
import { BOOT_MS, knowsVde, QEMU, startQemu } from '../fixtures/qemu.ts';
import { serveDirectory } from '../fixtures/served-directory.ts';
import { makeTemporaryDirectory, requireCommands, waitFor } from './harness.ts';

test('a machine boots from the network of a gateway', { timeout: 2 * BOOT_MS }, async (t) => {
  if (!requireCommands(t, QEMU) || !(await knowsVde(t))) return;
  const paths: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    paths.push(request.url);
    response.end('#!ipxe\n');
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const folder = makeTemporaryDirectory(t);
  writeFileSync(join(folder, 'boot.ipxe'), `#!ipxe\nimgfetch http://10.0.2.2:${port}/booted/\${net0/ip} || shell\n`);
  const gateway = await openPlug(`slirp:///tftp_path=${encodeURIComponent(folder)}/bootfile=boot.ipxe`);
  t.after(() => gateway.close());
  const lan = createSwitch();
  t.after(() => lan.close());
  lan.attach(gateway);
  const { path } = await serveDirectory(t, {}, undefined, {
    accepted: (plug) => {
      t.after(() => plug.close());
      lan.attach(plug);
    },
  });
  await startQemu(t, path, 'virtio-net-pci', '52:54:00:12:34:57');
  await waitFor(() => paths.includes('/booted/10.0.2.15'), BOOT_MS, 'the machine to do what the file says');
});
