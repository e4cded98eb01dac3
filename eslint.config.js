/**
 * Lint rules. Besides the usual strict ones, two of the architecture's promises are checked here: host time, chance
 * and I/O appear at the edges only, and there are no default exports. (Import directions: .dependency-cruiser.cjs.)
 */
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** The files that may touch the host. Everything else is a pure function of its inputs. */
const EDGES = [
  'emulator/load-addon.ts',
  'hypervisor/backend/**',
  'hypervisor/channel/bind-server.ts',
  'hypervisor/channel/connect-socket.ts',
  'hypervisor/channel/frame-connection.ts',
  'hypervisor/channel/key-file.ts',
  'hypervisor/channel/preshared-key.ts',
  'hypervisor/channel/transport.ts',
  'hypervisor/channel/unix-socket.ts',
  'hypervisor/edge/**',
  'hypervisor/ft/arbiter-*.ts',
  'hypervisor/ft/etcd-gateway.ts',
  'hypervisor/log/log-file.ts',
  'hypervisor/log/open-file.ts',
  'hypervisor/nbd/nbd-disk.ts',
  'hypervisor/nbd/nbd-link.ts',
  'hypervisor/network/switch-port.ts',
  'hypervisor/snapshot/snapshot-file*.ts',
  'tools/**',
  'test/**',
];

const HOST_GLOBALS = [
  'Date',
  'clearImmediate',
  'clearInterval',
  'clearTimeout',
  'console',
  'crypto',
  'fetch',
  'performance',
  'process',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
];

const HOST_MODULES = [
  'async_hooks',
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'events',
  'fs',
  'fs/promises',
  'http',
  'http2',
  'https',
  'inspector',
  'module',
  'os',
  'perf_hooks',
  'process',
  'readline',
  'readline/promises',
  'stream',
  'stream/promises',
  'timers',
  'timers/promises',
  'tls',
  'tty',
  'v8',
  'vm',
  'worker_threads',
];

const ONLY_AT_EDGES = 'belongs to an edge (see EDGES in eslint.config.js)';

const noHost = {
  'no-restricted-globals': ['error', ...HOST_GLOBALS.map((name) => ({ name, message: ONLY_AT_EDGES }))],
  'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: ONLY_AT_EDGES }],
  'no-restricted-imports': [
    'error',
    {
      paths: [
        ...HOST_MODULES.flatMap((name) => [name, `node:${name}`]).map((name) => ({ name, message: ONLY_AT_EDGES })),
        { name: 'node:net', allowImportNames: ['isIP', 'isIPv4', 'isIPv6'], message: ONLY_AT_EDGES },
        { name: 'node:crypto', importNames: ['randomBytes', 'randomInt', 'randomUUID'], message: ONLY_AT_EDGES },
      ],
    },
  ],
};

const strict = {
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
  '@typescript-eslint/explicit-module-boundary-types': 'error',
  '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
  '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
  // Typed arrays and buffers are read at places whose bounds were checked a line above.
  '@typescript-eslint/no-non-null-assertion': 'off',
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
  'no-restricted-syntax': [
    'error',
    { selector: 'ExportDefaultDeclaration', message: 'use a named export' },
    {
      selector: 'ImportDeclaration[source.value="zod"] > ImportSpecifier',
      message: 'use `import * as z`: this way brings 50 languages of messages into the bundle',
    },
  ],
  'no-console': 'error',
};

export default defineConfig(
  { ignores: ['build/', 'node_modules/', 'docs/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: strict,
  },
  { files: ['**/*.ts'], ignores: EDGES, rules: noHost },
  // describe() blocks are long by nature.
  {
    files: ['test/**/*.ts'],
    rules: { 'max-lines-per-function': 'off', '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  // The types of yargs' builders say themselves what they return.
  { files: ['tools/commands/**'], rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' } },
);
