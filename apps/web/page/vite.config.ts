import { defineConfig } from 'vite'

/** Builds the page: hashed names in dist/page/assets, and the manifest that the edge checks at boot. */
export default defineConfig({
  root: import.meta.dirname,
  build: {
    outDir: '../dist/page',
    emptyOutDir: true,
    manifest: true,
    target: 'es2022',
    // Every asset is a file of its own, because our content security policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
