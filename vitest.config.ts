import { defineConfig } from 'vitest/config';

// Timeouts only end tests that hang: each is five times what a test needs while every core runs another busy process.

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // Every core: these tests compute and wait for nothing.
          maxWorkers: '100%',
          // The files of a worker share its modules: to load them for each file takes longer than the tests.
          isolate: false,
          restoreMocks: true,
          unstubEnvs: true,
          unstubGlobals: true,
          setupFiles: ['test/helpers/no-processes.ts'],
        },
      },
      {
        test: {
          name: 'integration',
          sequence: { groupOrder: 1 },
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: '100%',
        },
      },
      {
        test: {
          name: 'system',
          sequence: { groupOrder: 2 },
          include: ['test/system/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // Labs share the machine's two cores: one file at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'cluster',
          // Runs only by npm run test:cluster.
          sequence: { groupOrder: 5 },
          include: ['test/cluster/**/*.test.ts'],
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'hostile',
          // After the system tests, for the same reason.
          sequence: { groupOrder: 3 },
          include: ['test/hostile/**/*.test.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'interop',
          // After the labs, because each project needs the machine's two cores.
          sequence: { groupOrder: 4 },
          include: ['test/interop/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
