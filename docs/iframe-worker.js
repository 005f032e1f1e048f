/* Search in pages that are opened from a file. Browsers refuse workers there, so the theme's search runs in a hidden frame
   of the page instead of a worker. The theme recognises such a frame by the name IFrameWorker. */
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.ready = new Promise(resolve => (this.frame.onload = resolve)).then(() => this.begin(url))
      document.documentElement.append(this.frame)
    }

    /* Give the frame what a worker has, and let it run the worker's script. */
    begin(url) {
      const inner = this.frame.contentWindow
      const load = source =>
        new Promise((resolve, reject) => {
          const script = inner.document.createElement("script")
          Object.assign(script, { src: source, onload: resolve, onerror: reject })
          inner.document.body.append(script)
        })
      inner.importScripts = (...sources) =>
        sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve())
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      return load(new URL(url, document.baseURI).href)
    }

    postMessage(data) {
      this.ready.then(() => {
        const inner = this.frame.contentWindow
        inner.dispatchEvent(new inner.MessageEvent("message", { data }))
      })
    }

    terminate() {
      this.frame.remove()
    }
  }
}
