"use strict";

// What the plain pages share: one form, what is said below it, and how the server is asked.
const form = document.getElementById("form");
const said = document.getElementById("said");

function say(sentence, reasons = []) {
  const list = document.createElement("ul");
  for (const reason of reasons) {
    const item = document.createElement("li");
    item.textContent = reason;
    list.append(item);
  }
  const text = document.createElement("p");
  text.textContent = sentence;
  said.replaceChildren(text, list);
}

// What the server answers; null if it was not done, which is said then, and why.
async function ask(path, body) {
  form.inert = true;
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (answer.ok) {
      return told;
    }
    say(`Not done: ${told.detail}.`, told.errors.map((error) => error.reason));
  } catch {
    say("The server cannot be reached. Try again.");
  } finally {
    form.inert = false;
  }
  return null;
}

// The token of a link stands behind the "#" of the address, which a browser tells no server.
function token() {
  return location.hash.slice(1);
}

// The password that was typed twice; null if the two are not the same, which is said.
function chosen() {
  const password = document.getElementById("password").value;
  if (password === document.getElementById("again").value) {
    return password;
  }
  say("The two are not the same.");
  return null;
}

// It is done: the link works no more, and leaves the address.
function done(sentence) {
  history.replaceState(null, "", location.pathname);
  form.remove();
  say(sentence);
}
