//! The `filter` parameter: a JSON array of conditions.

use jiff::Timestamp;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::QueryError;
use super::columns::{Column, column};

/// One condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The column's name as it was given.
    pub name: String,
    column: Column,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Compare {
        operator: &'static str,
        value: Sql,
    },
    Text(TextTest),
    Key {
        key: String,
        test: TextTest,
    },
    OneOf {
        negated: bool,
        values: Vec<String>,
    },
    List {
        mode: ListMode,
        values: Vec<String>,
    },
    Truth(bool),
    Null(bool),
    /// Scores by name: their average, any of their categories, or their truth.
    ScoreAverage {
        name: String,
        operator: &'static str,
        value: f64,
    },
    ScoreCategory {
        name: String,
        negated: bool,
        values: Vec<String>,
    },
    ScoreTruth {
        name: String,
        truth: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct TextTest {
    operator: TextOperator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextOperator {
    Equals,
    Contains,
    DoesNotContain,
    StartsWith,
    EndsWith,
    Matches,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListMode {
    Any,
    None,
    All,
}

/// More conditions than any person writes, and with [`MAX_VALUES`] what SQLite takes as parameters.
const MAX_FILTERS: usize = 30;
/// More values than a list of choices has.
const MAX_VALUES: usize = 1_000;

/// Reads the parameter's text.
pub fn parse_filters(text: &str) -> Result<Vec<Filter>, QueryError> {
    let invalid = || QueryError::Request("Invalid JSON in filter parameter".to_owned());
    let Value::Array(items) = serde_json::from_str(text).map_err(|_cause| invalid())? else {
        return Err(QueryError::Request("the filter parameter must be a JSON array".to_owned()));
    };
    if items.len() > MAX_FILTERS {
        return Err(QueryError::Request(format!("the filter parameter has more than {MAX_FILTERS} entries")));
    }
    let filters = filters_of(&items, &[Value::from("filter")], &observation_column)?;
    if filters.iter().any(Filter::is_io) && !filters.iter().any(Filter::narrows_io) {
        return Err(QueryError::Request(
            "Filters on input or output need at least one of the operators = or matches".to_owned(),
        ));
    }
    Ok(filters)
}

/// Finds the column of a name, or refuses it.
pub(crate) type Resolve<'a> = &'a dyn Fn(&str) -> Result<Column, QueryError>;

/// Checks conditions that stand at `path` in the request.
pub(crate) fn filters_of(
    items: &[Value],
    path: &[Value],
    resolve: Resolve<'_>,
) -> Result<Vec<Filter>, QueryError> {
    items.iter().enumerate().map(|(at, item)| filter(path, at, item, resolve)).collect()
}

fn observation_column(name: &str) -> Result<Column, QueryError> {
    column(name)
        .ok_or_else(|| QueryError::Request(format!("Column {name} does not match a UI / CH table mapping.")))
}

impl Filter {
    /// Equality of a text column, as the simple parameters ask for it.
    pub(super) fn equals(name: &str, values: Vec<String>) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            column: column(name)?,
            test: Test::OneOf { negated: false, values },
        })
    }

    pub(super) fn time(name: &str, operator: &'static str, ms: i64) -> Option<Self> {
        let test = Test::Compare { operator, value: Sql::Integer(ms) };
        Some(Self { name: name.to_owned(), column: column(name)?, test })
    }

    pub(super) fn truth(name: &str, truth: bool) -> Option<Self> {
        Some(Self { name: name.to_owned(), column: column(name)?, test: Test::Truth(truth) })
    }

    /// Whether both ask about one column, under whatever name.
    pub(super) fn same_column(&self, other: &Self) -> bool {
        self.column == other.column
    }

    fn is_io(&self) -> bool {
        matches!(self.column, Column::Text("input" | "output"))
    }

    fn narrows_io(&self) -> bool {
        let narrow = |test: &TextTest| matches!(test.operator, TextOperator::Equals | TextOperator::Matches);
        self.is_io() && matches!(&self.test, Test::Text(test) if narrow(test))
    }

    /// The condition as SQL; its values are appended to `parameters`.
    pub(crate) fn sql(&self, parameters: &mut Vec<Sql>) -> String {
        let (Column::Text(sql)
        | Column::Number(sql)
        | Column::Time(sql)
        | Column::Truth(sql)
        | Column::List(sql)
        | Column::Object(sql)
        | Column::Scores(sql)) = self.column;
        match &self.test {
            Test::Compare { operator, value } => {
                parameters.push(value.clone());
                format!("{sql} {operator} ?")
            }
            Test::Text(test) => test.sql(sql, parameters),
            Test::Key { key, test } => {
                parameters.push(Sql::Text(key.clone()));
                let value =
                    format!("coalesce((SELECT value FROM json_each({sql}) WHERE json_each.key = ?), '')");
                test.sql(&value, parameters)
            }
            Test::OneOf { negated, values } => {
                parameters.extend(values.iter().cloned().map(Sql::Text));
                let not = if *negated { "NOT " } else { "" };
                format!("{sql} {not}IN ({})", placeholders(values.len()))
            }
            Test::List { mode, values } => {
                parameters.extend(values.iter().cloned().map(Sql::Text));
                let hits = format!(
                    "(SELECT count(DISTINCT value) FROM json_each({sql}) WHERE value IN ({}))",
                    placeholders(values.len())
                );
                match mode {
                    ListMode::Any => format!("{hits} > 0"),
                    ListMode::None => format!("{hits} = 0"),
                    ListMode::All => {
                        let mut distinct = values.clone();
                        distinct.sort_unstable();
                        distinct.dedup();
                        format!("{hits} = {}", distinct.len())
                    }
                }
            }
            Test::Truth(truth) => format!("{sql} = {}", i32::from(*truth)),
            // Text is never NULL here: absent text is empty.
            Test::Null(wanted) => match (self.column, wanted) {
                (Column::Text(_), true) => format!("{sql} = ''"),
                (Column::Text(_), false) => format!("{sql} <> ''"),
                (Column::List(_), true) => format!("{sql} = '[]'"),
                (Column::List(_), false) => format!("{sql} <> '[]'"),
                (_, true) => format!("{sql} IS NULL"),
                (_, false) => format!("{sql} IS NOT NULL"),
            },
            Test::ScoreAverage { name, operator, value } => {
                parameters.extend([Sql::Text(name.clone()), Sql::Real(*value)]);
                format!(
                    "(SELECT avg(value) FROM scores WHERE {sql} AND scores.name = ? AND data_type = 'NUMERIC')
                        {operator} ?"
                )
            }
            Test::ScoreCategory { name, negated, values } => {
                parameters.push(Sql::Text(name.clone()));
                parameters.extend(values.iter().cloned().map(Sql::Text));
                let not = if *negated { "NOT " } else { "" };
                format!(
                    "{not}EXISTS (SELECT 1 FROM scores WHERE {sql} AND scores.name = ?
                        AND data_type = 'CATEGORICAL' AND string_value IN ({}))",
                    placeholders(values.len())
                )
            }
            Test::ScoreTruth { name, truth } => {
                parameters.push(Sql::Text(name.clone()));
                format!(
                    "EXISTS (SELECT 1 FROM scores WHERE {sql} AND scores.name = ?
                        AND data_type = 'BOOLEAN' AND value = {})",
                    i32::from(*truth)
                )
            }
        }
    }
}

impl TextTest {
    fn sql(&self, subject: &str, parameters: &mut Vec<Sql>) -> String {
        let value = Sql::Text(self.value.clone());
        match self.operator {
            TextOperator::Equals => {
                parameters.push(value);
                format!("{subject} = ?")
            }
            TextOperator::Contains => {
                parameters.push(value);
                format!("instr({subject}, ?) > 0")
            }
            TextOperator::DoesNotContain => {
                parameters.push(value);
                format!("instr({subject}, ?) = 0")
            }
            TextOperator::Matches => {
                parameters.push(Sql::Text(self.value.to_lowercase()));
                format!("instr(lower({subject}), ?) > 0")
            }
            TextOperator::StartsWith => {
                parameters.push(value);
                format!("substr({subject}, 1, {}) = ?", self.value.chars().count())
            }
            // Every text ends with nothing; the subject stays in, because it may hold a parameter of its own.
            TextOperator::EndsWith if self.value.is_empty() => format!("length(ifnull({subject}, '')) >= 0"),
            // A start beyond the front gives the whole text, which is then shorter and unequal.
            TextOperator::EndsWith => {
                parameters.push(value);
                format!("substr({subject}, -{}) = ?", self.value.chars().count())
            }
        }
    }
}

fn placeholders(n_values: usize) -> String {
    vec!["?"; n_values].join(", ")
}

fn filter(path: &[Value], at: usize, item: &Value, resolve: Resolve<'_>) -> Result<Filter, QueryError> {
    let invalid = |field: &str, message: &str| {
        let place = path.iter().cloned().chain([Value::from(at), Value::from(field)]);
        QueryError::issue(place.collect(), message)
    };
    let text =
        |field: &str| item[field].as_str().ok_or_else(|| invalid(field, "Invalid input: expected string"));
    let name = text("column")?;
    let column = resolve(name)?;
    let (kind, operator, value) = (text("type")?, text("operator")?, &item["value"]);
    let texts = || {
        let items = value.as_array().filter(|items| items.len() <= MAX_VALUES);
        items
            .and_then(|items| {
                items.iter().map(|it| it.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
            })
            .ok_or_else(|| invalid("value", "Invalid input: expected array of strings"))
    };
    let text_test = || {
        let operator =
            text_operator(operator).ok_or_else(|| invalid("operator", "Invalid option for this type"))?;
        Ok(TextTest { operator, value: text("value")?.to_owned() })
    };
    let comparison = || {
        Ok(match operator {
            "=" => "=",
            ">" => ">",
            "<" => "<",
            ">=" => ">=",
            "<=" => "<=",
            _ => return Err(invalid("operator", "Invalid option for this type")),
        })
    };
    let fits = |fits: bool| if fits { Ok(()) } else { Err(invalid("type", "does not fit the column")) };
    let test = match kind {
        "datetime" => {
            fits(matches!(column, Column::Time(_)))?;
            let time: Timestamp =
                text("value")?.parse().map_err(|_cause| invalid("value", "Invalid ISO datetime"))?;
            let operator = match comparison()? {
                "=" => return Err(invalid("operator", "Invalid option for this type")),
                operator => operator,
            };
            Test::Compare { operator, value: Sql::Integer(time.as_millisecond()) }
        }
        "string" => {
            fits(matches!(column, Column::Text(_)))?;
            let test = text_test()?;
            let io = matches!(column, Column::Text("input" | "output"));
            if test.operator == TextOperator::Matches && !io {
                return Err(invalid("operator", "Invalid option for this type"));
            }
            Test::Text(test)
        }
        "stringObject" => {
            fits(matches!(column, Column::Object(_)))?;
            Test::Key { key: text("key")?.to_owned(), test: text_test()? }
        }
        "number" => {
            fits(matches!(column, Column::Number(_)))?;
            let number = value.as_f64().ok_or_else(|| invalid("value", "Invalid input: expected number"))?;
            Test::Compare { operator: comparison()?, value: Sql::Real(number) }
        }
        "stringOptions" | "arrayOptions" => {
            fits(matches!(
                (kind, column),
                ("stringOptions", Column::Text(_)) | ("arrayOptions", Column::List(_))
            ))?;
            let values = texts()?;
            match (kind, operator) {
                ("stringOptions", "any of") => Test::OneOf { negated: false, values },
                ("stringOptions", "none of") => Test::OneOf { negated: true, values },
                ("arrayOptions", "any of") => Test::List { mode: ListMode::Any, values },
                ("arrayOptions", "none of") => Test::List { mode: ListMode::None, values },
                ("arrayOptions", "all of") => Test::List { mode: ListMode::All, values },
                _ => return Err(invalid("operator", "Invalid option for this type")),
            }
        }
        "boolean" => {
            fits(matches!(column, Column::Truth(_)))?;
            let truth = value.as_bool().ok_or_else(|| invalid("value", "Invalid input: expected boolean"))?;
            match operator {
                "=" => Test::Truth(truth),
                "<>" => Test::Truth(!truth),
                _ => return Err(invalid("operator", "Invalid option for this type")),
            }
        }
        "null" if matches!(column, Column::Scores(_)) => {
            return Err(invalid("type", "does not fit the column"));
        }
        "null" => match operator {
            "is null" => Test::Null(true),
            "is not null" => Test::Null(false),
            _ => return Err(invalid("operator", "Invalid option for this type")),
        },
        "categoryOptions" | "numberObject" | "booleanObject" => {
            fits(matches!(column, Column::Scores(_)))?;
            let name = text("key")?.to_owned();
            match (kind, operator) {
                ("categoryOptions", "any of" | "none of") => {
                    Test::ScoreCategory { name, negated: operator == "none of", values: texts()? }
                }
                ("numberObject", _) => {
                    let number = value.as_f64();
                    let value = number.ok_or_else(|| invalid("value", "Invalid input: expected number"))?;
                    Test::ScoreAverage { name, operator: comparison()?, value }
                }
                ("booleanObject", "=" | "<>") => {
                    let truth = value.as_bool();
                    let truth = truth.ok_or_else(|| invalid("value", "Invalid input: expected boolean"))?;
                    Test::ScoreTruth { name, truth: truth == (operator == "=") }
                }
                _ => return Err(invalid("operator", "Invalid option for this type")),
            }
        }
        _ => return Err(invalid("type", "Invalid option")),
    };
    if matches!(column, Column::Text("input" | "output")) && kind != "string" {
        return Err(QueryError::Request(format!("Filters on {name} must be of type string")));
    }
    Ok(Filter { name: name.to_owned(), column, test })
}

fn text_operator(operator: &str) -> Option<TextOperator> {
    Some(match operator {
        "=" => TextOperator::Equals,
        "contains" => TextOperator::Contains,
        "does not contain" => TextOperator::DoesNotContain,
        "starts with" => TextOperator::StartsWith,
        "ends with" => TextOperator::EndsWith,
        "matches" => TextOperator::Matches,
        _ => return None,
    })
}
