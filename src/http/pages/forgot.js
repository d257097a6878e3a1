"use strict";

const form = document.getElementById("form");
const said = document.getElementById("said");

function say(sentence) {
  const text = document.createElement("p");
  text.textContent = sentence;
  said.replaceChildren(text);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  form.inert = true;
  try {
    const answer = await fetch("api/v1/forgot", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ identity: document.getElementById("identity").value }),
    });
    const told = await answer.json();
    if (answer.ok) {
      form.remove();
      say(told.told);
      return;
    }
    say(`Not done: ${told.detail}.`);
  } catch {
    say("The server cannot be reached. Try again.");
  }
  form.inert = false;
});
