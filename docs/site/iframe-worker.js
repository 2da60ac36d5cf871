"use strict";
// A browser starts no worker for a page that is opened from the disk, and the theme's search is one.
// Here its script runs in a hidden frame instead, with the two functions that it takes from a worker.
// The theme asks for a class of this name.
class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.body.append(this.frame);
    const inside = this.frame.contentWindow;
    inside.document.open();
    inside.document.write("<!doctype html><title>search</title>");
    inside.document.close();
    const load = address => new Promise((done, failed) => {
      const script = inside.document.createElement("script");
      Object.assign(script, { src: address, onload: done, onerror: failed });
      inside.document.body.append(script);
    });
    inside.importScripts = (...addresses) =>
      addresses.reduce((before, address) => before.then(() => load(address)), Promise.resolve());
    inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
    this.loaded = load(url);
    this.loaded.catch(() => this.dispatchEvent(new ErrorEvent("error", { filename: `${url}` })));
  }

  postMessage(data) {
    const { contentWindow } = this.frame;
    const message = new contentWindow.MessageEvent("message", { data: structuredClone(data) });
    this.loaded.then(() => contentWindow.dispatchEvent(message));
  }

  terminate() {
    this.frame.remove();
  }
}
if (location.protocol === "file:") window.Worker = IFrameWorker;
window.IFrameWorker = IFrameWorker;
