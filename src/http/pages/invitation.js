"use strict";

// The token stands behind the "#" of the address, which a browser tells no server.
const form = document.getElementById("form");
const said = document.getElementById("said");

function say(sentence, reasons) {
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

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  if (password !== document.getElementById("again").value) {
    say("The two are not the same.", []);
    return;
  }
  form.inert = true;
  try {
    const answer = await fetch("api/v1/invitations/accept", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: location.hash.slice(1), password }),
    });
    const told = await answer.json();
    if (answer.ok) {
      history.replaceState(null, "", location.pathname);
      form.remove();
      say(`The password is set. Your login name is ${told.login}.`, []);
      return;
    }
    say(`Not done: ${told.detail}.`, told.errors.map((error) => error.reason));
  } catch {
    say("The server cannot be reached. Try again.", []);
  }
  form.inert = false;
});
