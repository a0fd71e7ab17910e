use super::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The template of SmolLM2-Instruct.
const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn render(source: &str) -> Result<String> {
    let template = ChatTemplate::compile(source, "<s>".into(), "</s>".into())?;
    Ok(template.render(
        &[ChatMessage::new("user", "Hi <b> & 'é'\\")],
        &[],
        &ChatOptions::default(),
    )?)
}

#[test]
fn default_system_prompt_is_the_templates() -> Result {
    assert_eq!(
        render(SMOLLM2)?,
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
         <|im_start|>user\nHi <b> & 'é'\\<|im_end|>\n<|im_start|>assistant\n"
    );
    Ok(())
}

#[test]
fn blocks_leave_no_lines_behind() -> Result {
    let source =
        "{{ bos_token }}\n  {% for m in messages %}\n{{ m.role }}\n  {% endfor %}\n{{ eos_token }}";
    assert_eq!(render(source)?, "<s>\nuser\n</s>");
    Ok(())
}

#[test]
fn python_methods_work() -> Result {
    let source = "{{ messages[0].content.split(' ')[0].upper().startswith('HI') }}";
    assert_eq!(render(source)?, "True");
    Ok(())
}

#[test]
fn tojson_is_pythons() -> Result {
    assert_eq!(
        render("{{ messages[0].content | tojson(ensure_ascii=False) }}")?,
        r#""Hi <b> & 'é'\\""#
    );
    assert_eq!(render(r"{{ '\\u003c' | tojson }}")?, r#""\\u003c""#);
    assert_eq!(
        render("{{ {'a': [1, 2]} | tojson(indent=2) }}")?,
        "{\n  \"a\": [\n    1,\n    2\n  ]\n}"
    );
    assert_eq!(
        render("{{ {'a': [1, true]} | tojson }}")?,
        r#"{"a": [1, true]}"#
    );
    Ok(())
}

#[test]
fn strftime_now_is_a_date() -> Result {
    let date = render("{{ strftime_now('%d %b %Y') }}")?;
    assert_eq!(date.split(' ').map(str::len).collect::<Vec<_>>(), [2, 3, 4]);
    Ok(())
}

#[test]
fn generation_blocks_always_apply() -> Result {
    let source = "a\n{%- generation -%}\n b{% endgeneration %}c{% if false %}d{% endif %}";
    assert_eq!(render(source)?, "abc");
    Ok(())
}

#[test]
fn raised_message_is_told() -> Result {
    let template = ChatTemplate::compile(
        "{% macro check() %}{{ raise_exception('roles must alternate') }}{% endmacro %}{{ check() }}",
        String::new(),
        String::new(),
    )?;
    assert!(matches!(
        template.render(&[], &[], &ChatOptions::default()),
        Err(PromptError::Refused { message }) if message == "roles must alternate"
    ));
    Ok(())
}

#[test]
fn other_failures_tell_no_content() -> Result {
    let template = ChatTemplate::compile(
        "\n{{ messages[0].content + 1 }}",
        String::new(),
        String::new(),
    )?;
    let secret = ChatMessage::new("user", "secret");
    let error = template
        .render(&[secret], &[], &ChatOptions::default())
        .err()
        .ok_or("rendered")?;
    assert!(matches!(error, PromptError::Template { line: 2, .. }));
    assert!(!format!("{error} {error:?}").contains("secret"));
    Ok(())
}

#[test]
fn tools_reach_the_template_in_the_order_of_their_schema() -> Result {
    let template = ChatTemplate::compile(
        "{% for tool in tools %}{{ tool | tojson }}<tool_call>{% endfor %}",
        String::new(),
        String::new(),
    )?;
    let tool = Tool {
        name: "get".into(),
        description: Some("Gets <b>".into()),
        parameters: Some(r#"{"type":"object","properties":{"z":{},"a":{}}}"#.into()),
    };
    assert_eq!(
        template.render(&[], &[tool], &ChatOptions::default())?,
        r#"{"type": "function", "function": {"name": "get", "description": "Gets <b>", "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}}<tool_call>"#
    );
    assert_eq!(template.render(&[], &[], &ChatOptions::default())?, "");
    Ok(())
}

#[test]
fn arguments_are_an_object_where_they_parse() -> Result {
    let template = ChatTemplate::compile(
        "{% for call in messages[0].tool_calls %}{{ call.function.arguments.a }},{{ call.id }};{% endfor %}\
         {{ messages[0].reasoning_content }}{{ messages[0].tool_call_id is defined }}",
        String::new(),
        String::new(),
    )?;
    let call = |arguments: &str| ToolCall {
        id: "call_1".into(),
        name: "get".into(),
        arguments: arguments.into(),
    };
    let message = ChatMessage {
        reasoning: Some("hm".into()),
        tool_calls: vec![call(r#"{"a": 7}"#), call("{cut")],
        ..ChatMessage::new("assistant", "")
    };
    assert_eq!(
        template.render(&[message], &[], &ChatOptions::default())?,
        "7,call_1;,call_1;hmFalse"
    );
    Ok(())
}

#[test]
fn a_template_without_tools_refuses_them() -> Result {
    let tool = Tool {
        name: "get".into(),
        description: None,
        parameters: None,
    };
    let unknown = "{{ tools | tojson }}<function=name>";
    for source in [SMOLLM2, unknown] {
        let template = ChatTemplate::compile(source, String::new(), String::new())?;
        let refused = template.render(&[], std::slice::from_ref(&tool), &ChatOptions::default());
        assert!(matches!(refused, Err(PromptError::NoTools)));
    }
    Ok(())
}

#[test]
fn what_a_caller_wants_of_thoughts_reaches_the_template() -> Result {
    let source = "{{ enable_thinking is defined }} {{ enable_thinking }} {{ reasoning_effort }}";
    let template = ChatTemplate::compile(source, String::new(), String::new())?;
    assert_eq!(
        template.render(&[], &[], &ChatOptions::default())?,
        "False  "
    );
    let options = ChatOptions {
        thinking: Some(false),
        reasoning_effort: Some("high".into()),
        ..ChatOptions::default()
    };
    assert_eq!(template.render(&[], &[], &options)?, "True False high");
    Ok(())
}
