"use strict";

const at = id => document.getElementById(id);
const worker = new Worker(URL.createObjectURL(new Blob([at("worker").textContent], {type: "text/javascript"})));
const waiting = new Map();
worker.onmessage = ({data: {ticket, result, error}}) => {
  const {resolve, reject} = waiting.get(ticket);
  waiting.delete(ticket);
  error === undefined ? resolve(result) : reject(new Error(error));
};
const ask = (job, given) => new Promise((resolve, reject) => {
  const ticket = crypto.getRandomValues(new Uint32Array(1))[0];
  waiting.set(ticket, {resolve, reject});
  worker.postMessage({job, given, ticket});
});

const say = text => { at("status").textContent = text; };
const broken = error => {
  const line = document.createElement("p");
  line.className = "fault";
  line.setAttribute("role", "alert");
  line.textContent = `This file or this browser is at fault: ${error.message}`;
  at("told").replaceChildren(line);
  say("");
};

let file;
async function dropped() {
  file = at("file").files[0];
  at("clean").disabled = true;
  at("cleaned").replaceChildren();
  at("told").replaceChildren();
  if (!file) return;
  const mine = file;
  say("Reading the file. A large file takes some seconds.");
  try {
    const {told, readable} = await ask("look", mine);
    if (mine !== file) return;
    at("told").innerHTML = told; // escaped by the template; the policy of this page runs no script from it
    at("clean").disabled = !readable;
    say("");
  } catch (error) { broken(error); }
}

async function clean() {
  at("clean").disabled = true;
  say("Making the copy.");
  try {
    const {copy, says, name} = await ask("clean", file);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(copy);
    link.download = name;
    link.textContent = `Download ${name}`;
    const line = document.createElement("p");
    line.innerHTML = says; // escaped
    at("cleaned").replaceChildren(link, line);
    say("The clean copy is ready.");
    link.focus();
  } catch (error) { broken(error); }
  at("clean").disabled = false;
}

at("file").addEventListener("change", dropped);
at("clean").addEventListener("click", clean);
const packed = {};
for (const part of document.querySelectorAll("script[data-name]")) {
  packed[part.dataset.name] = part.textContent;
  part.remove();
}
say("The page is starting. You can drop a file already.");
ask("start", packed).then(() => { document.documentElement.dataset.ready = "yes"; if (!file) say("Ready."); }, broken);
