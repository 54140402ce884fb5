// Runs beside the page: Python, and the file that was dropped. The page hands over Pyodide's files, then one file after the other.
"use strict";

let python, FS, WORKERFS;
const parts = {};

// Pyodide asks for its own files by address. They are in the page, and nothing else is to be had.
self.fetch = async address => {
  const name = String(address).split("/").pop();
  if (!(name in parts)) throw new TypeError(`${name} is not in this page`);
  const type = name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
  return new Response(parts[name], {headers: {"Content-Type": type}});
};

async function unpacked(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function start(packed) {
  for (const [name, base64] of Object.entries(packed)) parts[name] = await unpacked(base64);
  for (const name of ["pyodide.asm.js", "pyodide.js"]) {
    importScripts(URL.createObjectURL(new Blob([parts[name]], {type: "text/javascript"})));
  }
  const lock = JSON.parse(new TextDecoder().decode(parts["pyodide-lock.json"]));
  const pyodide = await loadPyodide({indexURL: "https://in-the-page.invalid/", lockFileContents: lock});
  pyodide.unpackArchive(parts["loraleak.zip"], "zip", {extractDir: "/home/pyodide"});
  ({FS} = pyodide);
  WORKERFS = FS.filesystems.WORKERFS;
  python = pyodide.pyimport("loraleak.web.offline.in_browser");
}

// Python reads the file in place, piece by piece: it is never whole in memory.
function mount(folder, name, data) {
  FS.mkdirTree(folder);
  try { FS.unmount(folder); } catch { /* nothing was there */ }
  FS.mount(WORKERFS, {blobs: [{name, data}]}, folder);
  return `${folder}/${name}`;
}

async function look(file) {
  const seen = python.look(mount("/file", file.name.replaceAll("/", "_"), file));
  return {told: seen.html, readable: seen.readable};
}

async function clean(file) {
  const name = file.name.replaceAll("/", "_");
  const made = python.make_copy(mount("/file", name, file));
  const start = made.start.toJs();
  const copy = new Blob([start, file.slice(made.rest)], {type: "application/octet-stream"});
  made.check(mount("/copy", name, copy));
  return {copy, says: made.says, name: `${name.replace(/\.safetensors$/i, "")}-clean.safetensors`};
}

const jobs = {start, look, clean};
let last = Promise.resolve();
self.onmessage = ({data: {job, given, ticket}}) => {
  last = last.then(() => jobs[job](given)).then(
    result => self.postMessage({ticket, result: result ?? {}}),
    error => self.postMessage({ticket, error: String(error.message ?? error).trim().split("\n").pop()}),
  );
};
