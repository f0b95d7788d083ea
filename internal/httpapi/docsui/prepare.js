'use strict'
// This document has an origin of its own, which may have neither storage nor cookies nor requests.
// The viewer gets replacements: storage in memory, and requests that the page around it sends.
for (const name of ['localStorage', 'sessionStorage']) {
  const kept = new Map()
  Object.defineProperty(window, name, {
    value: {
      getItem: (key) => kept.get(String(key)) ?? null,
      setItem: (key, value) => { kept.set(String(key), String(value)) },
      removeItem: (key) => { kept.delete(String(key)) },
      clear: () => { kept.clear() },
      key: (index) => [...kept.keys()][index] ?? null,
      get length() { return kept.size },
    },
  })
}
Object.defineProperty(document, 'cookie', { get: () => '', set: () => {} })

window.fetch = async (input, options) => {
  const request = new Request(input, options)
  const bodiless = request.method === 'GET' || request.method === 'HEAD'
  const body = bodiless ? undefined : await request.arrayBuffer()
  const { port1: port, port2 } = new MessageChannel()
  const stop = () => port.postMessage('stop')
  return new Promise((resolve, reject) => {
    let parts
    const fail = (error) => { reject(error); parts?.error(error) }
    request.signal.addEventListener('abort', () => { stop(); fail(new DOMException('stopped', 'AbortError')) })
    port.onmessage = ({ data }) => {
      if (data.failed) fail(new TypeError(data.failed))
      else if (data.part) parts?.enqueue(data.part)
      else if (data.done) parts?.close()
      else {
        const stream = new ReadableStream({ start: (controller) => { parts = controller }, cancel: stop })
        const empty = [204, 205, 304].includes(data.status)
        resolve(new Response(empty ? null : stream, data))
      }
    }
    const question = { url: request.url, method: request.method, headers: [...request.headers], body }
    parent.postMessage(question, location.origin, [port2])
  })
}
