'use strict'
Scalar.createApiReference('#app', {
  content: JSON.parse(document.getElementById('document').textContent),
  baseServerURL: location.origin,
  withDefaultFonts: false, telemetry: false, agent: { disabled: true }, mcp: { disabled: true },
  showDeveloperTools: 'never', hideClientButton: true, documentDownloadType: 'none', persistAuth: false,
})
const shown = new MutationObserver(() => {
  if (!document.querySelector('#app h1')) return
  shown.disconnect()
  parent.postMessage({ ready: true }, location.origin)
})
shown.observe(document.body, { childList: true, subtree: true })
