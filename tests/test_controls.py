"""The built controls in a browser: every one alive, moved to its ends, and equal to Python."""

import json

import pytest
from chrome import pages
from states import controls, expected, in_python, is_there, option_input, settings, specification, state

PAGES = pages()
WIDTHS = (1280, 390)

# Sets one input as a reader does, waits for the repaint, and reads what the control then shows.
READ = """async ([id, input, value]) => {
  const figure = document.getElementById(id);
  if (input) {
    const element = figure.querySelector(input);
    if (element.type === "radio") element.checked = true; else element.value = value;
    for (const kind of ["input", "change"]) element.dispatchEvent(new Event(kind, {bubbles: true}));
  }
  for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
  return {
    values: [...figure.querySelectorAll("output[data-output]")].map(output => output.dataset.value),
    texts: [...figure.querySelectorAll("output[data-output]")].map(output => output.textContent),
    drawing: figure.querySelector(".explore-view").innerHTML,
    shapes: [...figure.querySelectorAll(".explore-view :is(.line, .share, .pin, .cut, rect)")].map(shape => shape.outerHTML).join(""),
    python: figure.querySelector(".explore-python code")?.textContent,
  };
}"""


@pytest.mark.parametrize("address", PAGES)
def test_controls_equal_python(open_page, address):
    page = open_page(address)
    for spec in controls(page):
        for input, value, known in settings(spec):
            shown = page.evaluate(READ, [spec["id"], input, value])
            for output, number, text in zip(spec["outputs"], shown["values"], shown["texts"], strict=True):
                where = f"{spec['id']}: {output['label']} at {input} = {value}"
                assert float(number) == pytest.approx(expected(output, known), rel=1e-9, nan_ok=True), where
                assert text.strip(), where
            if spec["outputs"]:
                assert in_python(shown["python"]) == pytest.approx(float(shown["values"][0]), rel=1e-9, nan_ok=True), shown["python"]
            assert not spec["plot"] or "<svg" in shown["drawing"]
    assert page.complaints == []


def heard(shown) -> str:
    """What a setting can change: numbers and shapes. The marker and the description repeat the setting itself."""
    return json.dumps([shown["values"], shown["texts"], shown["shapes"]])


@pytest.mark.parametrize("address", PAGES)
def test_every_slider_and_choice_does_something(open_page, address):
    page = open_page(address)
    for spec in controls(page):
        for slider in spec["sliders"]:
            if "when" in slider:
                page.evaluate(READ, [spec["id"], option_input(spec, *slider["when"]), slider["when"][1]])
            input = page.locator(f"#{spec['id']}-{slider['name']}")
            seen = []
            for key in ("Home", "End"):  # by keyboard
                input.press(key)
                seen.append(heard(page.evaluate(READ, [spec["id"], None, None])))
            assert seen[0] != seen[1], f"{spec['id']}: the slider {slider['name']} is dead"
            if "when" in slider:
                name, value = next((choice["name"], choice["value"]) for choice in spec["choices"] if choice["name"] == slider["when"][0])
                page.evaluate(READ, [spec["id"], option_input(spec, name, value), value])
        for choice in spec["choices"]:
            seen = []
            alone = {name: value for name, value in spec.items() if name != "runs"} | {"choices": [choice], "sliders": []}
            for input, value, _ in settings(alone):
                seen.append(heard(page.evaluate(READ, [spec["id"], input, value])))
            assert len(set(seen)) > 1, f"{spec['id']}: the choice {choice['name']} is dead"


def go(page, address):
    """Follow a link to a place on the same page; what the page then shows is for `READ`."""
    page.evaluate("address => { location.hash = address; }", address)
    return page


def last_picks(spec):
    """The last option of each choice, the last stop of each slider that is there then, other counts than those of the record."""
    chosen = {choice["name"]: choice["options"][-1]["key"] for choice in spec["choices"]}
    sliders = {slider["name"]: slider["values"][-1] for slider in spec["sliders"] if is_there(slider, chosen)}
    return sliders | chosen | {name: count + 1 for name, count in spec.get("paste", {}).get("counts", {}).items()}


def an_address(spec):
    return "&".join(f"{name}={value}" for name, value in last_picks(spec).items())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_link_leads_to_its_control(open_page, width):
    """Also where all that stands above it has yet to find its height."""
    for address in PAGES:
        for spec in controls(open_page(address, width=width))[-1:]:
            page = open_page(f"{address}#{spec['id']}?{an_address(spec)}", width=width)
            page.wait_for_timeout(500)
            assert 0 <= page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", spec["id"]) < 200


@pytest.mark.parametrize("address", PAGES)
def test_address_sets_controls(open_page, address):
    page = None
    for spec in controls(open_page(address)):
        picks = last_picks(spec)
        linked = f"{spec['id']}?{an_address(spec)}&nothing=banana"
        page = go(page, linked) if page else open_page(f"{address}#{linked}")
        shown, note = page.evaluate(READ, [spec["id"], None, None]), page.locator(f"#{spec['id']} .explore-note")
        assert note.inner_text() == "Ignored from the address: nothing=banana"
        for output, number in zip(spec["outputs"], shown["values"], strict=True):
            assert float(number) == pytest.approx(expected(output, state(spec, picks)), rel=1e-9, nan_ok=True)

        go(page, f"{spec['id']}?{next(iter(picks), 'nothing')}=banana&%00=1&=&&")
        shown, first = page.evaluate(READ, [spec["id"], None, None]), next(settings(spec))[2]
        assert "banana" in note.inner_text()
        assert [float(number) for number in shown["values"]] == pytest.approx(
            [expected(output, first) for output in spec["outputs"]], rel=1e-9, nan_ok=True)
    assert not page or page.complaints == []


def paste_into(page, spec, record):
    """Paste as a reader does, and read what the control then shows and says."""
    box = page.locator(f"#{spec['id']}-paste")
    box.fill(record if isinstance(record, str) else json.dumps(record))
    box.press("Tab")
    page.keyboard.press("Enter")
    return page.evaluate(READ, [spec["id"], None, None]), page.locator(f"#{spec['id']}-paste-said").inner_text()


@pytest.mark.parametrize("address", PAGES)
def test_a_pasted_record_counts(open_page, address):
    page = open_page(address)
    for spec in (spec for spec in controls(page) if "paste" in spec):
        shown, said = paste_into(page, spec, {"usage": {"input_tokens": 2000, "cache_read_input_tokens": 700, "output_tokens": 90}})
        assert said.startswith("Anthropic messages: 2,700 input tokens, of them 700 cached")
        counts = {"input_tokens": 2700, "cached_tokens": 700, "written_tokens": 0, "output_tokens": 90, "reasoning_tokens": 0}
        now = state(spec, {name: counts[name] for name in spec["paste"]["counts"]})
        assert [float(number) for number in shown["values"]] == pytest.approx([expected(output, now) for output in spec["outputs"]], rel=1e-9)
        for wrong in ("{", {}, {"prompt_tokens": -1, "completion_tokens": 5}, {"prompt_tokens": 1, "completion_tokens": "<b>5</b>"}):
            again, said = paste_into(page, spec, wrong)
            assert again["values"] == shown["values"] and said and "tokens, of them" not in said
            assert page.locator(f"#{spec['id']}-paste").get_attribute("aria-invalid") == "true"
    assert page.complaints == []


@pytest.mark.parametrize("address", PAGES)
def test_steppers_move(open_page, address):
    page = open_page(address)
    for stepper in page.locator("[data-steps]").all():
        labels = [frame.get_attribute("data-label") for frame in stepper.locator(".frame").all()]
        shown = stepper.locator(".frame.current")
        assert shown.get_attribute("data-label") == labels[0]
        stepper.get_by_role("button", name="Next").click()
        assert shown.get_attribute("data-label") == labels[1]
        stepper.get_by_role("button", name="Back").click()
        assert shown.get_attribute("data-label") == labels[0]
        stepper.get_by_role("slider").press("End")
        assert shown.get_attribute("data-label") == labels[-1]
        assert shown.is_visible() and stepper.locator(".frame:visible").count() == 1
        name = stepper.get_attribute("id")
        linked = open_page(f"{address}#{name}?step=1").locator(f"#{name} .frame.current")
        assert linked.get_attribute("data-label") == labels[1]
    assert page.complaints == []


@pytest.mark.parametrize("address", PAGES)
def test_questions_answer(open_page, address):
    page = open_page(address)
    for form in page.locator("[data-question]").all():
        spec = specification(form)
        verdict = form.locator(".question-verdict")

        def say(answer):
            form.get_by_role("textbox").fill(str(answer))
            form.get_by_role("textbox").press("Enter")
            return verdict.text_content()

        assert say("a lot").startswith("That is not a number I can read")
        if spec["kind"] == "check":
            assert say(spec["answer"]) == "Right."
        for slip in spec["slips"]:
            assert slip["text"] in say(slip["value"])
        assert "x too large" in say(1000 * abs(spec["answer"]) + 1)
        assert (form.locator("details").get_attribute("open") is not None) == (spec["kind"] == "predict")
    assert page.complaints == []
