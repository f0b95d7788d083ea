'use strict'
// The viewer in the frame cannot send requests itself, because its origin has no rights here. It
// asks this page with a message, and this page sends the request without cookies. So a request has
// only the key that the reader has typed into the viewer.
const frame = document.querySelector('iframe')

addEventListener('message', (event) => {
  if (event.source !== frame.contentWindow) return
  if (event.data.ready) {
    document.getElementById('state').remove()
    document.documentElement.dataset.viewer = 'ready'
    return
  }
  if (event.ports.length === 1) relay(event.data, event.ports[0])
})

async function relay({ url, method, headers, body }, port) {
  const stop = new AbortController()
  port.onmessage = () => stop.abort()
  try {
    const target = new URL(url, location.href)
    if (target.origin !== location.origin) throw new TypeError('this page sends requests only to its own server')
    const response = await fetch(target, {
      method, headers, body, signal: stop.signal,
      credentials: 'omit', mode: 'same-origin', redirect: 'error', cache: 'no-store', referrerPolicy: 'no-referrer',
    })
    port.postMessage({ status: response.status, statusText: response.statusText, headers: [...response.headers] })
    if (response.body) {
      const reader = response.body.getReader()
      for (let part = await reader.read(); !part.done; part = await reader.read()) port.postMessage({ part: part.value })
    }
    port.postMessage({ done: true })
  } catch (error) {
    port.postMessage({ failed: String(error) })
  }
}
