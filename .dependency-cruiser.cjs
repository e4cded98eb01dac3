/**
 * Imports point one way only: emulator <- devices <- hypervisor <- tools; tests see all. Inside hypervisor:
 * log, snapshot, loader, backend <- channel, environment, machine, network <- ft. Type imports count as well.
 */

/** A rule against imports from one place to another. */
function forbid(name, from, to) {
  return { name, severity: 'error', from: { path: from }, to: { path: to } };
}

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    forbid('emulator-is-lowest', '^emulator/', '^(devices|hypervisor|tools|test)/'),
    forbid('devices-know-no-monitor', '^devices/', '^(hypervisor|tools|test)/'),
    forbid('hypervisor-knows-no-command', '^hypervisor/', '^(tools|test)/'),
    forbid('tools-know-no-test', '^tools/', '^test/'),
    forbid(
      'formats-know-no-machine',
      '^hypervisor/(log|snapshot|loader|backend)/',
      '^hypervisor/(channel|environment|machine|network|nbd|ft)/',
    ),
    forbid(
      'machine-knows-no-replication',
      '^hypervisor/(environment|machine)/',
      '^hypervisor/(channel|network|nbd|ft)/',
    ),
    forbid(
      'channel-knows-no-replication',
      '^hypervisor/(channel|network|nbd)/',
      '^hypervisor/(environment|machine|ft)/',
    ),
    {
      name: 'no-orphans',
      severity: 'error',
      comment: 'a file that nothing imports and that imports nothing is dead, or its user is missing',
      from: { orphan: true, pathNot: ['^test/', '\\.(cjs|js)$', '^tools/[^/]+\\.ts$'] },
      to: {},
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-development-packages-in-the-product',
      severity: 'error',
      from: { path: '^(emulator|devices|hypervisor|tools)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: '@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(build|docs)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.json'],
    },
  },
};
