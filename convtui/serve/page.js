// What textual.js leaves to the page: which program to show, the keyboard, and the end.
"use strict";

const terminal = document.getElementById("terminal");

// A tab keeps its program when it is loaded again; another tab has another.
const session = sessionStorage.getItem("session") || terminal.dataset.session;
sessionStorage.setItem("session", session);
const address = new URL(`ws/${session}`, location.href);
address.protocol = "ws:";
terminal.dataset.sessionWebsocketUrl = address.href.split("?")[0];

// textual.js also tells of focus and size while it is connecting, and after the end.
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (this.readyState === WebSocket.OPEN) send.call(this, data);
};

function focusTerminal() {
  const input = terminal.querySelector("textarea");
  if (input) input.focus();
}

new MutationObserver(() => {
  if (document.body.classList.contains("-closed")) {
    const ended = document.getElementById("ended");
    ended.classList.add("shown");
    ended.querySelector("button").focus();
  } else if (document.body.classList.contains("-first-byte")) {
    focusTerminal();
  }
}).observe(document.body, { attributes: true, attributeFilter: ["class"] });

window.addEventListener("focus", focusTerminal);
document.querySelector("#ended button").addEventListener("click", () => location.reload());
