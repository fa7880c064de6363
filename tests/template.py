"""The stack's template, and what CloudFormation makes of it for given parameters."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parents[1] / "template.yaml"
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "shop",
}
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}
NO_VALUE = object()


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as its long ones."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


@cache
def _parsed(path: Path) -> dict[str, Any]:
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return template


def load(path: Path = PATH) -> dict[str, Any]:
    return copy.deepcopy(_parsed(path))


class Stack:
    """The template with its intrinsic functions resolved.

    References to resources stay visible: ``Ref`` becomes ``<Name>`` and ``GetAtt`` becomes ``<Name.Attribute>``.
    """

    def __init__(self, **parameters: str) -> None:
        self.template = load()
        self.pseudo = dict(PSEUDO)
        self.parameters: dict[str, Any] = {}
        for name, parameter in self.template["Parameters"].items():
            value = parameters.get(name, parameter.get("Default", "secretsmanager:shop/database"))
            is_list = parameter["Type"] == "CommaDelimitedList"
            self.parameters[name] = str(value).split(",") if is_list else value
        assert set(parameters) <= set(self.parameters)

    def resource(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.resolve(self.template["Resources"][name]["Properties"])
        return properties

    def of_type(self, kind: str) -> list[str]:
        return [name for name, resource in self.template["Resources"].items() if resource["Type"] == kind]

    @classmethod
    def in_region(cls, region: str, **parameters: str) -> Stack:
        stack = cls(**parameters)
        partition = next((name for start, name in PARTITIONS.items() if region.startswith(start)), "aws")
        stack.pseudo |= {"AWS::Region": region, "AWS::Partition": partition}
        return stack

    def violations(self) -> list[str]:
        """The descriptions of the rules' assertions that the parameters do not fulfil."""
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            if "RuleCondition" not in rule or self.resolve(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self.resolve(assertion["Assert"])
        ]

    def there(self) -> set[str]:
        """The names of the resources that are made."""
        return {
            name
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def condition(self, name: str) -> bool:
        return bool(self.resolve(self.template["Conditions"][name]))

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        name = next(iter(value), "")
        if len(value) != 1 or not (name in {"Ref", "Condition"} or name.startswith("Fn::")):
            resolved = {key: self.resolve(item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not NO_VALUE}
        ((function, argument),) = value.items()
        if function == "Condition" and isinstance(argument, dict):  # an IAM statement's, not CloudFormation's
            return {"Condition": self.resolve(argument)}
        if function == "Fn::If":
            name, then, otherwise = argument
            return self.resolve(then if self.condition(name) else otherwise)
        if function == "Fn::Sub":
            return self._sub(argument)
        argument = self.resolve(argument)
        match function:
            case "Ref":
                return self._ref(argument)
            case "Condition":
                return self.condition(argument)
            case "Fn::GetAtt":
                return f"<{argument}>"
            case "Fn::Join":
                return argument[0].join(argument[1])
            case "Fn::Split":
                return argument[1].split(argument[0])
            case "Fn::Select":
                return argument[1][int(argument[0])]
            case "Fn::Equals":
                return argument[0] == argument[1]
            case "Fn::Not":
                return not argument[0]
            case "Fn::Or":
                return any(argument)
            case "Fn::And":
                return all(argument)
            case "Fn::EachMemberEquals":
                return all(member == argument[1] for member in argument[0])
            case "Fn::FindInMap":
                return self.template["Mappings"][argument[0]][argument[1]][argument[2]]
            case "Fn::Contains":
                return argument[1] in argument[0]
        raise AssertionError(function)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        return self.parameters.get(name, f"<{name}>")

    def _sub(self, argument: Any) -> str:
        text, names = argument if isinstance(argument, list) else (argument, {})
        names = self.resolve(names)

        def value(match: re.Match[str]) -> str:
            name = match[1]
            return str(names[name] if name in names else self._ref(name))

        return re.sub(r"\$\{([\w:.]+)\}", value, text).replace("${!", "${")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(stack: Stack, role: str) -> list[dict[str, Any]]:
    """Every statement of a role, those of the template's managed policies included."""
    properties = stack.resource(role)
    found = [s for policy in properties.get("Policies", []) for s in policy["PolicyDocument"]["Statement"]]
    for reference in properties.get("ManagedPolicyArns", []):
        found += stack.resource(reference.strip("<>"))["PolicyDocument"]["Statement"]
    return found


def actions(stack: Stack, role: str) -> set[str]:
    return {action for statement in statements(stack, role) for action in as_list(statement["Action"])}


def granted(stack: Stack, role: str, action: str) -> list[str]:
    """The resources on which a role may do something."""
    return [
        resource
        for statement in statements(stack, role)
        if action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]
