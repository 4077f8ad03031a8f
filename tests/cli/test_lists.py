"""What get does to a list: selectors, sorting, no headers; and get run --by."""
import pytest

TAGGED = [{"name": "b", "createdTime": 3, "status": "READY", "tags": [{"key": "app", "value": "x"}, {"key": "tier", "value": "web"}]},
          {"name": "c", "createdTime": 1, "status": "ERROR", "tags": [{"key": "app", "value": "y"}]},
          {"name": "a", "createdTime": 2, "status": "READY", "tags": None}]


def names(result):
    assert (result.err, result.code) == ("", 0)
    return result.out.split()


def test_a_selector_asks_the_server_and_filters_again(api, dispatch):
    api.reply("GET", "/v1/function", TAGGED)
    assert names(dispatch("get", "function", "-l", "app=x", "-o", "name")) == ["b"]
    assert api.last.path == "/v1/function?tags=app%3Dx"
    assert names(dispatch("get", "function", "-l", "app=x,tier=web", "-o", "name")) == ["b"]
    assert api.last.path == "/v1/function?tags=app%3Dx&tags=tier%3Dweb"
    assert names(dispatch("get", "function", "--selector", "app=x", "--selector", "tier=db", "-o", "name")) == []


def test_tags_in_the_metadata_of_a_secret_count(api, dispatch):
    api.reply("GET", "/v1/secret", [{"meta": {"name": "s", "tags": [{"key": "app", "value": "x"}]}, "name": "s"}, {"name": "t"}])
    assert names(dispatch("get", "secret", "-l", "app=x", "-o", "name")) == ["s"]


@pytest.mark.parametrize("selector", ["app", "=x", "app=x,,"])
def test_bad_selectors_send_nothing(api, dispatch, selector):
    result = dispatch("get", "function", "-l", selector)
    assert result.code == 1 and "must be KEY=VALUE" in result.err and api.requests == []
    assert dispatch("get", "function", "f", "-l", "a=b").err == "--selector goes with a list, not with a name\n"


@pytest.mark.parametrize("field,order", [("name", "abc"), ("createdTime", "cab"), ("status", "cba"), ("id", "bca")])
def test_sort_by_a_field_is_stable(api, dispatch, field, order):
    api.reply("GET", "/v1/function", TAGGED)
    assert names(dispatch("get", "function", "--sort-by", field, "-o", "name")) == list(order)


def test_sort_by_looks_into_a_secrets_metadata(api, dispatch):
    api.reply("GET", "/v1/secret", [{"name": "b", "meta": {"createdTime": 2}}, {"name": "a", "meta": {"createdTime": 1}}])
    assert names(dispatch("get", "secret", "--sort-by", "createdTime", "-o", "name")) == ["a", "b"]


@pytest.mark.parametrize("field", ["nonsense", "schema", ""])
def test_sort_by_what_is_no_field_sends_nothing(api, dispatch, field):
    result = dispatch("get", "function", "--sort-by", field)
    assert result.code == 1 and "--sort-by" in result.err and api.requests == []


def test_no_headers_prints_rows_alone(api, dispatch):
    api.reply("GET", "/v1/function", TAGGED)
    out = dispatch("get", "function", "--no-headers").out
    assert len(out.splitlines()) == 3 and "NAME" not in out and "---" not in out
    api.reply("GET", "/v1/secret", [{"name": "s"}])
    assert dispatch("get", "secret", "--no-headers").out == "  s    | <hidden>  \n"
    api.reply("GET", "/v1/image", [])
    assert dispatch("get", "image", "--no-headers").out == ""


RUNS = [{"name": "r1", "functionName": "b", "status": "READY", "executedTime": 1, "finishedTime": 9},
        {"name": "r2", "functionName": "a", "status": "READY", "executedTime": 3, "finishedTime": 4},
        {"name": "r3", "functionName": "c", "status": "ERROR", "executedTime": 2, "finishedTime": 0}]


@pytest.mark.parametrize("by,order", [("function", [2, 1, 3]), ("status", [3, 1, 2]), ("started", [2, 3, 1]), ("finished", [1, 2, 3])])
def test_runs_by(api, dispatch, by, order):
    api.reply("GET", "/v1/runs", RUNS)
    assert names(dispatch("get", "runs", "--by", by, "-o", "name")) == [f"r{number}" for number in order]


def test_runs_by_nonsense(api, dispatch):
    result = dispatch("get", "runs", "--by", "luck")
    assert result.code == 1 and "must be function, status, started or finished" in result.err and api.requests == []


@pytest.mark.parametrize("kind,path", [("function", "/v1/function"), ("runs", "/v1/runs")])
def test_all_pages_of_a_list_are_one(api, dispatch, kind, path):
    pages = [[{"name": "a"}, {"name": "b"}], [], [{"name": "c"}]]
    for number, page in enumerate(pages):
        more = {"Link": f'</v1/other>; rel="prev", <{path}?cursor={number}>; title="a,b"; rel="next"'} if number < 2 else {}
        api.reply("GET", path, page, headers=more)
    assert names(dispatch("get", kind, "-o", "name")) == ["a", "b", "c"]
    assert [request.path.split("cursor=")[-1] for request in api.requests[1:]] == ["0", "1"]


@pytest.mark.parametrize("link", ['<http://127.0.0.1:1/v1/x>; rel="next"', "</etc>; rel=next", '<//127.0.0.1/v1/x>; rel="next"', "</v1/x",
                                  '</v1/x>; rel="prev"', "rel=next"])
def test_a_link_leads_nowhere_else(api, dispatch, link):
    api.reply("GET", "/v1/function", [{"name": "a"}], headers={"Link": link})
    assert names(dispatch("get", "function", "-o", "name")) == ["a"] and len(api.requests) == 1


def test_a_page_that_is_no_list_is_an_error(api, dispatch):
    api.reply("GET", "/v1/function", [{"name": "a"}], headers={"Link": '</v1/function?cursor=1>; rel="next"'})
    api.reply("GET", "/v1/function", {"name": "b"})
    result = dispatch("get", "function")
    assert (result.code, result.out) == (1, "") and "the reply is not a list" in result.err
