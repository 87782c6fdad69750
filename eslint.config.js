import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const defaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'A named export keeps its one name everywhere.',
};

// Under noUncheckedIndexedAccess `counts[i]!` says that the line before checked `i`, and costs nothing on the hot path.
// A `!` on anything else hides a case.
const assertionBeyondIndex = {
  selector: 'TSNonNullExpression:not(:has(> MemberExpression[computed=true]))',
  message: 'Assert only an element whose index was just checked; else handle the missing value.',
};

export default defineConfig(
  { ignores: ['dist/', 'proto/gen/', 'shared/report/gen/', 'runs/', 'coverage/', '.cache/', 'node_modules/', 'test/fixtures/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers in messages are what messages are for.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // noPropertyAccessFromIndexSignature is not on, but process.env['X'] reads as the lookup it is.
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      // An arrow that only calls something may return its nothing.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // `while (true)` is an honest loop.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'only-allowed-literals' }],
      // `() => {}` is how one says that nothing is to happen.
      '@typescript-eslint/no-empty-function': ['error', { allow: ['arrowFunctions'] }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-syntax': ['error', defaultExport, assertionBeyondIndex],
      'prefer-const': 'error',
      'no-cond-assign': 'error',
      'no-constant-binary-expression': 'error',
      'no-loss-of-precision': 'error',
      'no-self-compare': 'error',
      'no-unmodified-loop-condition': 'error',
      'no-unreachable-loop': 'error',
      'no-unsafe-finally': 'error',
      'no-useless-catch': 'error',
      'preserve-caught-error': 'error',
    },
  },
  {
    // A scenario module's default export is the scenario; a tool's config file gives its own.
    files: ['examples/*.ts', '*.config.ts'],
    rules: { 'no-restricted-syntax': ['error', assertionBeyondIndex] },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A test asserts what it just arranged; a wrong `!` fails it, which is its job.
      'no-restricted-syntax': ['error', defaultExport],
      // A fake implements an async seam without waiting for anything.
      '@typescript-eslint/require-await': 'off',
    },
  },
);
